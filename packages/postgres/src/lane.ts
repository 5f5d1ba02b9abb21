/**
 * The one way of a process to its meters: what arrives while a statement is under way goes with the next one, all of it
 * together. So a commit serves many calls, and what a process has settled is known before what it admits later.
 */
import { Unavailable } from '@haldir/core/store'
import { isConflict, stateOf } from './client.ts'
import { type Operation, plainly } from './meters.ts'
import { type Answer, unavailable, type Verbs } from './verbs.ts'

interface Waiting {
  readonly operation: Operation
  resolve(answer: Answer): void
  reject(error: unknown): void
}

/** No statement carries more: others wait for its locks. */
const MOST = 64

export class Lane {
  readonly #verbs: Verbs
  #waiting: Waiting[] = []
  #running = false

  constructor(verbs: Verbs) {
    this.#verbs = verbs
  }

  send(operation: Operation): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // What is asked for in the same turn goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#carry(this.#waiting.splice(0, MOST))
    this.#running = false
  }

  /** The shorter way for what is most frequent, where all of it is. */
  async #ask(ops: readonly Operation[]): Promise<Answer> {
    const plain = ops.map(plainly)
    const [first] = plain
    if (first && !plain.includes(undefined)) {
      if (ops.length > 1) return this.#verbs.call('admit_many', { ops })
      const answer = await this.#verbs.admitOne(first)
      if (answer.known !== true) return answer
    }
    return this.#verbs.call('act', { ops })
  }

  /** Answers why, when nobody knows what was carried out. */
  async #carry(all: readonly Waiting[]): Promise<Error | undefined> {
    try {
      const { at, all: admitted, answers } = await this.#ask(all.map(({ operation }) => operation))
      const each = admitted === true ? all.map(() => ({ ok: true })) : (answers as Answer[])
      for (const [index, { resolve }] of all.entries()) resolve({ ...(each[index] as Answer), at })
      return undefined
    } catch (error) {
      // The server has refused the whole for what one of them said: each is asked for alone, so that none suffers for it.
      if (all.length > 1 && stateOf(error) !== undefined && !isConflict(error) && !isClosing(error)) {
        let lost: Error | undefined
        for (const one of all) {
          if (lost) one.reject(lost)
          else lost = await this.#carry([one])
        }
        return lost
      }
      // Each is known by its call, so it may be sent again.
      const reason = unavailable(error)
      // When the database says nothing, those behind do not wait as long once more, each batch after the other.
      const silent = error instanceof Unavailable
      const behind = silent ? this.#waiting.splice(0) : []
      for (const { reject } of [...all, ...behind]) reject(reason)
      return silent ? reason : undefined
    }
  }
}

/** The server is going away, has no room, or somebody keeps a lock: to ask for each alone would take as long once more. */
function isClosing(error: unknown): boolean {
  return /^(57|55|53|08|58|XX)/.test(stateOf(error) ?? '')
}
