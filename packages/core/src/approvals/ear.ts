/** One who waits for an approval to change. */
import { type Clock, cancelTimer } from '../clock.ts'

export class Ear {
  /** Takes it off: nothing is heard any more. */
  readonly close: () => void
  readonly #clock: Clock
  #heard = false
  #wake: () => void = () => {}

  constructor(clock: Clock, close: () => void) {
    this.#clock = clock
    this.close = close
  }

  hear(): void {
    this.#heard = true
    this.#wake()
  }

  /** Resolves when something was heard since the last time, or after `ms`, or as soon as `also` says so. */
  next(ms: number, also: (wake: () => void) => () => void): Promise<void> {
    return new Promise((resolve) => {
      let stop = () => {}
      let undo = () => {}
      const wake = () => {
        stop()
        undo()
        this.#heard = false
        this.#wake = () => {}
        resolve()
      }
      this.#wake = wake
      // Somebody waits for the answer: the timer keeps the process alive, as the call that waits should.
      const timer = this.#clock.setTimeout(wake, ms)
      stop = () => cancelTimer(timer)
      undo = also(wake)
      if (this.#heard) wake()
    })
  }
}
