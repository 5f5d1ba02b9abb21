/** Hot reload: a policy file is watched, and each sound edition of it handed over. */
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
  /** How often the file is read; every two seconds unless given. */
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
 * read again and again by its path, so whatever way it is replaced, and on any file system, that is noticed. Does not
 * keep the process alive.
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
  const interval = parseDuration(every, 'every')
  const hash = current === undefined ? undefined : compilePolicy(current).hash
  const watch = new Watch(file, onPolicy, onError, clock, interval, hash)
  // What was written after someone read the file and before this is noticed at once.
  void watch.reload()
  return watch
}

class Watch implements PolicyWatch {
  readonly #file: string
  readonly #onPolicy: (policy: Policy) => void | Promise<void>
  readonly #onError: (error: unknown) => void
  readonly #clock: Clock
  readonly #interval: number
  /** Of the edition that was handed over last. */
  #hash: string | undefined
  /** What the file held when it was loaded last, or why it could not be read. */
  #loaded: string | undefined
  #stopped = false
  #cancel: (() => void) | undefined
  /** Loads come one after the other; the latest of them. */
  #loading: Promise<boolean> = Promise.resolve(false)
  /** One that has not begun yet: it will see what is in the file now, so everyone who asks shares it. */
  #next: Promise<boolean> | undefined

  constructor(
    file: string,
    onPolicy: (policy: Policy) => void | Promise<void>,
    onError: (error: unknown) => void,
    clock: Clock,
    interval: number,
    hash: string | undefined,
  ) {
    this.#file = file
    this.#onPolicy = onPolicy
    this.#onError = onError
    this.#clock = clock
    this.#interval = interval
    this.#hash = hash
    this.#lookIn(interval)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  reload(): Promise<boolean> {
    if (this.#next) return this.#next
    const begin = (): Promise<boolean> => {
      this.#next = undefined
      return this.#load()
    }
    this.#next = this.#loading.then(begin)
    this.#loading = this.#next
    return this.#next
  }

  #lookIn(ms: number, before?: string): void {
    if (!this.#stopped) this.#cancel = background(this.#clock, ms, () => void this.#look(before))
  }

  /** A file that holds something new is loaded once two looks at it, a moment apart, find the same text. */
  async #look(before: string | undefined): Promise<void> {
    const text = await readText(this.#file).catch(String)
    const isNew = text !== this.#loaded
    if (isNew && text === before) await this.reload()
    if (isNew && text !== before) this.#lookIn(STILL_MS, text)
    else this.#lookIn(this.#interval)
  }

  /** Hands the edition in the file over, if it is sound and new. Never rejects. */
  async #load(): Promise<boolean> {
    if (this.#stopped) return false
    try {
      const { policy, hash } = compileText(await this.#read(), this.#file)
      if (this.#stopped || hash === this.#hash) return false
      await this.#onPolicy(policy)
      this.#hash = hash
      return true
    } catch (error) {
      // What is wrong with the file stays wrong until it changes; what else failed may do better at the next look.
      if (!ConfigError.isInstance(error)) this.#loaded = undefined
      if (!this.#stopped) this.#report(error)
      return false
    }
  }

  async #read(): Promise<string> {
    try {
      this.#loaded = await readText(this.#file)
      return this.#loaded
    } catch (error) {
      this.#loaded = String(error)
      throw error
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
