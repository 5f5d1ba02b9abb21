/** Who has to be told of approvals, in the memory store. */
import type { Delivery } from './approvals.ts'

/** How far a channel has been told of an approval. */
interface Told {
  readonly id: string
  readonly channel: string
  /** When it is to be told; `undefined`: it shows the approval as it is. */
  due: number | undefined
  attempt: number
  /** JSON: what was answered is nobody's way into what is kept. */
  note: string | undefined
}

/** A delivery, but for the approval as it is. */
type Handed = { readonly id: string } & Omit<Delivery, 'row'>

export class MemoryDeliveries {
  readonly #byApproval = new Map<string, Map<string, Told>>()
  /** What each channel has yet to be told. */
  readonly #untold = new Map<string, Set<Told>>()

  add(id: string, channels: readonly string[], at: number): void {
    const channelsOf = new Map<string, Told>()
    for (const channel of channels) channelsOf.set(channel, { id, channel, due: at, attempt: 0, note: undefined })
    this.#byApproval.set(id, channelsOf)
    this.again(id, at)
  }

  /** The approval has changed: everyone is due at once. */
  again(id: string, at: number): void {
    for (const told of this.#byApproval.get(id)?.values() ?? []) {
      told.attempt = 0
      this.#begin(told, at)
    }
  }

  forget(id: string): void {
    for (const told of this.#byApproval.get(id)?.values() ?? []) this.#end(told)
    this.#byApproval.delete(id)
  }

  /** Hands out what is due; `made` orders what has been due for equally long. */
  handOut(
    channels: readonly string[],
    limit: number,
    leaseMs: number,
    at: number,
    made: (id: string) => number,
  ): readonly Handed[] {
    const due: (Told & { due: number })[] = []
    for (const channel of new Set(channels)) {
      for (const told of this.#untold.get(channel) ?? []) if (isDue(told, at)) due.push(told)
    }
    due.sort((a, b) => a.due - b.due || made(a.id) - made(b.id))
    const handed = due.slice(0, limit)
    for (const told of handed) {
      told.due = at + leaseMs
      told.attempt++
    }
    return handed.map(({ id, channel, attempt, note }) => ({ id, channel, attempt, ...parsed(note) }))
  }

  /** `current`: the channel shows the approval as it is now. */
  shown(id: string, channel: string, current: boolean, note: unknown, at: number): void {
    const told = this.#told(id, channel)
    if (!told) return
    const text = JSON.stringify(note) as string | undefined
    if (text !== undefined) told.note = text
    if (current) this.#end(told)
    else this.#begin(told, at)
  }

  later(id: string, channel: string, due: number): void {
    const told = this.#told(id, channel)
    // What has changed since it was handed out is not put off: that is another delivery.
    if (told?.due !== undefined && told.attempt > 0) told.due = due
  }

  note(id: string, channel: string): unknown {
    return parsed(this.#told(id, channel)?.note).note
  }

  #told(id: string, channel: string): Told | undefined {
    return this.#byApproval.get(id)?.get(channel)
  }

  #begin(told: Told, due: number): void {
    told.due = due
    const untold = this.#untold.get(told.channel) ?? new Set()
    this.#untold.set(told.channel, untold.add(told))
  }

  #end(told: Told): void {
    told.due = undefined
    const untold = this.#untold.get(told.channel)
    if (untold?.delete(told) && untold.size === 0) this.#untold.delete(told.channel)
  }
}

function isDue(told: Told, at: number): told is Told & { due: number } {
  return told.due !== undefined && told.due <= at
}

function parsed(note: string | undefined): { readonly note?: unknown } {
  return note === undefined ? {} : { note: JSON.parse(note) }
}
