/**
 * An agent that goes round in circles: the same call again and again, the same few calls in turn, or one call over and
 * over among others. Calls are the same when their digests are.
 */
import { Lru } from './lru.ts'
import { type Detector, type Finding, isAttempt, type Observation, type Watch } from './signal.ts'

export interface LoopSettings {
  /** How often the same call runs in a row. */
  readonly repeats: number
  /** How often two to four calls run in turn. */
  readonly cycles: number
  /** How often a call stands among the last thirty-two of its session. */
  readonly among: number
  /** Calls further apart than this are no loop. */
  readonly windowMs: number
  /** Tools that are called again on purpose. */
  readonly except: ReadonlySet<string>
  readonly coolDownMs: number
}

/** How many sessions of an agent are watched, and how many calls of each. */
const SESSIONS = 16
const CALLS = 32
const LONGEST = 4

export function loop(settings: LoopSettings): Detector {
  const { coolDownMs } = settings
  return { signal: 'loop', scope: 'session', coolDownMs, begin: () => new LoopWatch(settings) }
}

class LoopWatch implements Watch {
  readonly #settings: LoopSettings
  readonly #sessions = new Lru(SESSIONS, () => new Calls())

  constructor(settings: LoopSettings) {
    this.#settings = settings
  }

  observe(seen: Observation): Finding | undefined {
    const { digest, session, tool, at } = seen
    if (digest === undefined || !isAttempt(seen)) return undefined
    if (tool !== undefined && this.#settings.except.has(tool)) return undefined
    return this.#sessions.of(session).add(at, Number.parseInt(digest.slice(0, 12), 16), this.#settings, session)
  }

  /** What went round before is over. */
  learn(): void {}

  forget(session: string): void {
    this.#sessions.delete(session)
  }
}

class Calls {
  readonly #digests: number[] = []
  readonly #times: number[] = []
  /** For how many calls each has been the same as the one so many before it. */
  readonly #same = new Array<number>(LONGEST + 1).fill(0)
  #count = 0

  add(at: number, digest: number, settings: LoopSettings, session: string): Finding | undefined {
    const { repeats, cycles, among, windowMs } = settings
    const gap = this.#count > 0 ? at - (this.#times[(this.#count - 1) % CALLS] as number) : 0
    // After a pause, or with a clock that was set back far, it begins anew.
    if (Math.abs(gap) >= windowMs) {
      this.#count = 0
      this.#same.fill(0)
    }
    const place = this.#count
    for (let period = 1; period <= LONGEST; period++) {
      const same = place >= period && this.#digests[(place - period) % CALLS] === digest
      this.#same[period] = same ? (this.#same[period] as number) + 1 : 0
    }
    this.#digests[place % CALLS] = digest
    this.#times[place % CALLS] = at
    this.#count++
    const found = (kind: string, value: number, threshold: number): Finding => {
      return { kind, value, threshold, windowMs, severity: 'medium', key: session }
    }
    for (let period = 1; period <= LONGEST; period++) {
      const times = 1 + Math.floor((this.#same[period] as number) / period)
      const most = period === 1 ? repeats : cycles
      if (times >= most) return found(String(period), times, most)
    }
    const times = this.#times
    let again = 0
    for (let back = 0; back < Math.min(this.#count, CALLS); back++) {
      const slot = (place - back) % CALLS
      if (this.#digests[slot] === digest && at - (times[slot] as number) < windowMs) again++
    }
    return again >= among ? found('among', again, among) : undefined
  }
}
