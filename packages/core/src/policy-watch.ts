/** Hot reload: a policy file is watched, and each sound edition of it handed over. */
import { unwatchFile, watchFile } from 'node:fs'
import { background, type Clock, systemClock } from './clock.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError } from './errors.ts'
import { compilePolicy } from './gate/policy/compile.ts'
import type { Policy } from './gate/policy/policy.ts'
import { checkKeys } from './options.ts'
import { compileText, fileOf, readText } from './policy-files.ts'

export interface WatchOptions {
  /** What is in force already: a file that says the same is not handed over. */
  readonly current?: Policy
  /** How often the file is looked at; two seconds unless given. */
  readonly every?: Duration
  /** An edition that is not sound, a file that is gone, or an `onPolicy` that failed. A warning unless given. */
  readonly onError?: (error: unknown) => void
  readonly clock?: Clock
}

export interface PolicyWatch {
  /** No policy is handed over any more, also none that is being read. */
  stop(): void
  /** Reads the file now. Whether an edition was handed over; what is wrong with it goes to `onError`. */
  reload(): Promise<boolean>
}

/** How long a file that has changed must stay the same: who writes it in pieces leaves half a policy for a moment. */
const STILL_MS = 100

/**
 * Watches a policy file and calls `onPolicy` with every edition that is sound and says something new: the first, unless
 * `current` says the same, and then each change. While the file is broken or gone, the last edition stays. The file is
 * looked at by its path, again and again, so one that is replaced, or a link that is turned, is noticed on any file
 * system. Does not keep the process alive.
 */
export function watchPolicy(
  path: string | URL,
  onPolicy: (policy: Policy) => void | Promise<void>,
  options: WatchOptions = {},
): PolicyWatch {
  checkKeys(options, ['current', 'every', 'onError', 'clock'], 'options of `watchPolicy`')
  if (typeof onPolicy !== 'function') throw new ConfigError('invalid-option', 'onPolicy', '`onPolicy` is a function')
  const file = fileOf(path)
  const { current, every = '2s', onError = warn, clock = systemClock } = options
  const hash = current === undefined ? undefined : compilePolicy(current).hash
  const watch = new Watch(file, onPolicy, onError, clock, hash)
  watchFile(file, { persistent: false, interval: parseDuration(every, 'every') }, watch.changed)
  return watch
}

class Watch implements PolicyWatch {
  readonly #file: string
  readonly #onPolicy: (policy: Policy) => void | Promise<void>
  readonly #onError: (error: unknown) => void
  readonly #clock: Clock
  /** Of the edition that was handed over last. */
  #hash: string | undefined
  #stopped = false
  #cancel: (() => void) | undefined
  /** Readings come one after the other; the latest of them. */
  #reading: Promise<boolean> = Promise.resolve(false)
  /** One that has not begun yet: it will see what is in the file now, so everyone who asks shares it. */
  #next: Promise<boolean> | undefined

  constructor(
    file: string,
    onPolicy: (policy: Policy) => void | Promise<void>,
    onError: (error: unknown) => void,
    clock: Clock,
    hash: string | undefined,
  ) {
    this.#file = file
    this.#onPolicy = onPolicy
    this.#onError = onError
    this.#clock = clock
    this.#hash = hash
    // What was written after someone read the file and before this would else go unnoticed until the next change.
    void this.reload()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    unwatchFile(this.#file, this.changed)
  }

  reload(): Promise<boolean> {
    if (this.#next) return this.#next
    const begin = (): Promise<boolean> => {
      this.#next = undefined
      return this.#load()
    }
    this.#next = this.#reading.then(begin)
    this.#reading = this.#next
    return this.#next
  }

  /** The file looks different: it is read once two looks at it, a moment apart, find the same text. */
  readonly changed = (): void => this.#lookAgain(undefined)

  #lookAgain(before: string | undefined): void {
    this.#cancel?.()
    if (this.#stopped) return
    this.#cancel = background(this.#clock, STILL_MS, () => {
      const look = async () => {
        const text = await readText(this.#file).catch((error: unknown) => String(error))
        if (text === before) await this.reload()
        else this.#lookAgain(text)
      }
      void look()
    })
  }

  /** Hands the edition in the file over, if it is sound and new. Never rejects. */
  async #load(): Promise<boolean> {
    if (this.#stopped) return false
    try {
      const { policy, hash } = compileText(await readText(this.#file), this.#file)
      if (this.#stopped || hash === this.#hash) return false
      await this.#onPolicy(policy)
      this.#hash = hash
      return true
    } catch (error) {
      if (!this.#stopped) this.#report(error)
      return false
    }
  }

  #report(error: unknown): void {
    try {
      this.#onError(error)
    } catch {
      // Whoever is told of a failure and fails, too, can't be told of that.
    }
  }
}

function warn(error: unknown): void {
  const why = ConfigError.isInstance(error) ? error.message : '`onPolicy` failed'
  process.emitWarning(`the policy was not reloaded, and the last one stays: ${why}`, 'HaldirWarning')
}
