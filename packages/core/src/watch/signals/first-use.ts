/**
 * The first use of a tool by an agent that is known. How surprising that is depends on how often it happens: by the
 * estimate of Good and Turing, the next call is of a tool never seen with the share of tools seen once in all calls.
 */
import { DAY_MS, type Detector, type Finding, type Observation, type Watch } from './signal.ts'

export interface FirstUseSettings {
  /** How long an agent is learned before anything is said, and how many calls at least. */
  readonly learnMs: number
  readonly calls: number
  /** How likely a new tool may be and still be worth telling. */
  readonly novelty: number
  readonly coolDownMs: number
}

/** Tools of one agent. Of one with more than that nothing is new. */
const TOOLS = 512

export function firstUse(settings: FirstUseSettings): Detector {
  const { coolDownMs } = settings
  return { signal: 'first-use', scope: 'agent', coolDownMs, begin: () => new FirstUseWatch(settings) }
}

class FirstUseWatch implements Watch {
  readonly #settings: FirstUseSettings
  /** Whether a tool was seen more than once. */
  readonly #tools = new Map<string, boolean>()
  #once = 0
  #calls = 0
  #first = Number.POSITIVE_INFINITY

  constructor(settings: FirstUseSettings) {
    this.#settings = settings
  }

  observe(seen: Observation): Finding | undefined {
    const { tool, at } = seen
    const { learnMs, calls, novelty } = this.#settings
    const isNew = seen.type === 'intent' && tool !== undefined && !this.#tools.has(tool)
    const known = at - this.#first >= learnMs && this.#calls >= calls && this.#tools.size < TOOLS
    const value = this.#calls === 0 ? 1 : this.#once / this.#calls
    this.learn(seen)
    if (!isNew || !known || value >= novelty) return undefined
    return { value, threshold: novelty, windowMs: DAY_MS, severity: 'low', key: tool as string }
  }

  /** What was refused has not been used. */
  learn({ at, type, tool }: Observation): void {
    if (type !== 'intent' || tool === undefined) return
    if (at < this.#first) this.#first = at
    this.#calls++
    const often = this.#tools.get(tool)
    if (often === undefined && this.#tools.size < TOOLS) {
      this.#tools.set(tool, false)
      this.#once++
    } else if (often === false) {
      this.#tools.set(tool, true)
      this.#once--
    }
  }
}
