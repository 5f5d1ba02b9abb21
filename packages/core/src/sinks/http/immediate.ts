/** Sends what is written before it is accepted, for processes that are frozen as soon as they have answered. */
import type { Clock } from '../../clock.ts'
import { Unavailable } from '../../errors.ts'
import type { Tally } from './counts.ts'
import type { Post } from './post.ts'
import { type BatchSize, MemoryQueue } from './queue.ts'
import { type Backoff, delayOf } from './sender.ts'

export interface ImmediateParts {
  readonly name: string
  readonly required: boolean
  readonly post: Post
  readonly size: BatchSize
  readonly backoff: Backoff
  readonly clock: Clock
  readonly random: () => number
  readonly tally: Tally
  readonly deadlineMs: number
}

export class Immediate {
  readonly #parts: ImmediateParts
  /** What did not get through, with the batches it was cut into: it is offered again, with more behind it. */
  #pending: { text: string; queue: MemoryQueue } | undefined

  constructor(parts: ImmediateParts) {
    this.#parts = parts
  }

  get entries(): number {
    return this.#pending?.queue.entries ?? 0
  }

  /** Rejects with `Unavailable` when the receiver has not taken all of it within the deadline. */
  async deliver(text: string): Promise<void> {
    const { post, size, clock, random, backoff, deadlineMs, tally, name } = this.#parts
    const pending = this.#continued(text)
    const { queue } = pending
    const end = clock.monotonic() + deadlineMs
    let failures = 0
    for (let batch = queue.next(size); batch; batch = queue.next(size)) {
      if (failures > 0) tally.retried++
      const posted = await post.send(batch, Math.max(1, end - clock.monotonic()))
      const count = batch.lines.length
      let wait: number | undefined
      if (posted.kind === 'later') {
        tally.failing = posted.why
        wait = delayOf(++failures, backoff, random, posted.afterMs)
      } else if (posted.kind === 'split' && count > 1) {
        const places = batch.lines.map((_, index) => index)
        queue.settle([places.slice(0, count >> 1), places.slice(count >> 1)])
      } else {
        const { refused, again, reduced } =
          posted.kind === 'taken' ? posted : { refused: [{ index: 0, why: posted.why }], again: [], reduced: 0 }
        if (refused.length > 0) this.#refused(refused[0]?.why ?? '')
        queue.settle(again.length > 0 ? [again] : [])
        tally.rejected += refused.length
        tally.reduced += reduced
        tally.sent += count - refused.length - again.length
        tally.failing = undefined
        failures = 0
        if (again.length > 0 && refused.length === 0) wait = delayOf(++failures, backoff, random)
      }
      if (wait === undefined) continue
      if (clock.monotonic() + wait >= end) {
        throw new Unavailable(`\`${name}\` could not send an entry: ${tally.failing ?? 'the receiver is busy'}`)
      }
      await new Promise<void>((wake) => clock.setTimeout(wake, wait))
    }
    this.#pending = undefined
  }

  /** Of a required sink nothing may get lost, and there is nowhere to set it aside: the write is refused. */
  #refused(why: string): void {
    const { required, tally, name } = this.#parts
    if (!required) return
    tally.failing = why
    throw new Unavailable(`\`${name}\` could not send an entry: ${why}`)
  }

  #continued(text: string): { text: string; queue: MemoryQueue } {
    const before = this.#pending
    const queue = before && text.startsWith(before.text) ? before.queue : new MemoryQueue()
    queue.append(queue === before?.queue ? text.slice(before.text.length) : text)
    this.#pending = { text, queue }
    return this.#pending
  }
}
