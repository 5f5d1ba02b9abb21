/** Where the store keeps how long each chain is: what is missing from a trail is noticed by that. */
import { ask, type Clock } from '../clock.ts'
import type { WriterVerbs } from '../stores/store.ts'
import type { Stand } from './trail-parts.ts'

export interface RegisterParts {
  readonly registry: WriterVerbs
  readonly clock: Clock
  readonly deadlineMs: number
}

export class Register {
  readonly #parts: RegisterParts
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: RegisterParts) {
    this.#parts = parts
  }

  /** One after the other, so that none comes late and takes back what a later one has said. Rejects `Unavailable`. */
  put(genesis: string, { writer: id, entries, head }: Stand, closed: boolean): Promise<void> {
    const { registry, clock, deadlineMs } = this.#parts
    const row = { id, genesis, entries, head, closed }
    const put = this.#last.then(() => ask(() => registry.put(row), deadlineMs, clock, 'store.writer.put'))
    this.#last = put.catch(() => {})
    return put
  }
}
