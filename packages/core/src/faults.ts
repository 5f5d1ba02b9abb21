import { HaldirError, Unavailable } from './errors.ts'

/** Something outside of Haldir that failed: how often, and what its last error calls itself. */
export interface Fault {
  /** `store.admit`, `trail`, `vault`, `cost of charge` … */
  readonly part: string
  readonly count: number
  /** The code or name of the error. Its message may hold anything and is not kept. */
  readonly last: string
}

/** A refusal says little, for a model reads it; what lies behind it is counted here, for `health()`. */
export class Faults {
  readonly #faults = new Map<string, Fault>()
  readonly #counted = new WeakMap<object, string>()

  /** Counted under the same name where it came from, an error is not counted again. */
  note(part: string, error: unknown): void {
    const cause = error instanceof Unavailable ? error.cause : undefined
    if (this.#counted.get(error as object) === part || this.#counted.get(cause as object) === part) return
    this.#add(part, error)
  }

  /** Counts an error where it comes from. Whoever meets it later may note it, too. */
  count(part: string, error: object): void {
    this.#counted.set(error, part)
    this.#add(part, error)
  }

  #add(part: string, error: unknown): void {
    const count = (this.#faults.get(part)?.count ?? 0) + 1
    this.#faults.set(part, { part, count, last: nameOf(error) })
  }

  list(): readonly Fault[] {
    return [...this.#faults.values()]
  }
}

/** Haldir's own errors wrap what they were caused by; that tells more. */
function nameOf(error: unknown): string {
  try {
    // Ours, and in our own words; what it was caused by tells more.
    if (error instanceof Unavailable) return error.cause === undefined ? error.message : nameOf(error.cause)
    const { code, name } = error as { code?: unknown; name?: unknown }
    if (HaldirError.isInstance(error)) return String(code)
    if (typeof code === 'string' && CODE.test(code)) return code
    return typeof name === 'string' && NAME.test(name) ? name : 'Error'
  } catch {
    return 'Error'
  }
}

// What codes and class names look like; anything else may be a value that got there.
const CODE = /^[A-Z][A-Z0-9_]{1,40}$/
const NAME = /^[A-Z][A-Za-z]{0,40}(Error|Exception)$/
