/** Who watches a store, and how they are told. */
import { disregard } from '../clock.ts'
import type { Hint } from './store.ts'

interface Watcher {
  readonly listener: (hint: Hint) => void
}

export class Watchers {
  readonly #watchers = new Set<Watcher>()
  #hints: Hint[] = []

  /** Whether anybody is there to be told. */
  get any(): boolean {
    return this.#watchers.size > 0
  }

  add(listener: (hint: Hint) => void): () => void {
    const watcher = { listener }
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** Tells of these, soon: never inside the verb that has changed them, nor inside another watcher. */
  about(about: 'sessions' | 'approvals', ids: readonly string[]): void {
    // A copy: what a verb answers is its caller's.
    if (this.any && ids.length > 0) this.tell({ about, ids: [...ids] })
  }

  tell(hint: Hint): void {
    if (this.#hints.push(hint) === 1) queueMicrotask(() => this.#deliver())
  }

  clear(): void {
    this.#watchers.clear()
  }

  #deliver(): void {
    const hints = this.#hints
    this.#hints = []
    for (const hint of hints) {
      for (const watcher of [...this.#watchers]) {
        // Who has stopped since hears nothing.
        if (this.#watchers.has(watcher)) tellOne(watcher, hint)
      }
    }
  }
}

/** Invariant: a watcher that throws harms neither the verb nor the others. */
function tellOne({ listener }: Watcher, hint: Hint): void {
  try {
    disregard(listener(hint))
  } catch {
    // Its own affair; nobody here could do anything about it.
  }
}
