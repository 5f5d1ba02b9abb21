import { HaldirError } from './errors.ts'

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

  note(part: string, error: unknown): void {
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
    if (HaldirError.isInstance(error)) return error.cause === undefined ? error.message : nameOf(error.cause)
    const { code, name } = error as { code?: unknown; name?: unknown }
    return ([code, name].find((word) => typeof word === 'string' && /^[\w.-]{1,64}$/.test(word)) as string) ?? 'Error'
  } catch {
    return 'Error'
  }
}
