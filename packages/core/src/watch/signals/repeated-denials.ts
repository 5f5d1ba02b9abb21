/** The same denial again and again: an agent that tries what it may not, or what somebody makes it try. */
import { Lru } from './lru.ts'
import { type Detector, type Finding, isAttempt, type Observation, type Watch } from './signal.ts'

export interface DenialSettings {
  /** How many denials with one code in one session. */
  readonly session: number
  /** How many with one code of one agent, in whichever sessions. */
  readonly agent: number
  readonly windowMs: number
  /** What part of all that was tried meanwhile they are, at least: who does much is denied some. */
  readonly share: number
  /** Codes that say nothing of what an agent tries. */
  readonly ignore: ReadonlySet<string>
  readonly coolDownMs: number
}

/** How many sessions of an agent are watched apart, and how many codes. */
const KEEP = 64

export function repeatedDenials(settings: DenialSettings): Detector {
  const { coolDownMs } = settings
  return { signal: 'repeated-denials', scope: 'session', coolDownMs, begin: () => new DenialWatch(settings) }
}

class DenialWatch implements Watch {
  readonly #settings: DenialSettings
  readonly #sessions = new Lru(KEEP, () => ({ tried: 0 }))
  readonly #denied: Lru<Recent>
  readonly #codes: Lru<Recent>
  #tried = 0

  constructor(settings: DenialSettings) {
    this.#settings = settings
    this.#denied = new Lru(KEEP, () => new Recent(settings.session))
    this.#codes = new Lru(KEEP, () => new Recent(settings.agent))
  }

  observe(seen: Observation): Finding | undefined {
    if (!isAttempt(seen)) return undefined
    const { at, type, code, session } = seen
    const settings = this.#settings
    const tried = ++this.#sessions.of(session).tried
    this.#tried++
    if (type !== 'refusal' || code === undefined || settings.ignore.has(code)) return undefined
    const ofSession = this.#denied.of(`${code} ${session}`).add(at, tried, settings)
    const ofAgent = this.#codes.of(code).add(at, this.#tried, settings)
    const found = (kind: string, threshold: number, key: string): Finding => {
      return { kind, value: threshold, threshold, windowMs: settings.windowMs, severity: 'medium', code, key }
    }
    if (ofSession) return found('session', settings.session, `${code} ${session}`)
    return ofAgent ? found('agent', settings.agent, code) : undefined
  }

  /** What was denied before is over. */
  learn(): void {}

  /** With the counts of its codes, which it may have filled. */
  forget(): void {
    this.#denied.clear()
    this.#codes.clear()
  }
}

/** The last times that something happened, as many as are too many. */
class Recent {
  readonly #most: number
  readonly #times: number[] = []
  /** How much had been tried by then. */
  readonly #tried: number[] = []
  #next = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Whether all of them lie within the window, and close together. A time of a clock that was set back does, too. */
  add(at: number, tried: number, { windowMs, share }: DenialSettings): boolean {
    const most = this.#most
    this.#times[this.#next] = at
    this.#tried[this.#next] = tried
    this.#next = (this.#next + 1) % most
    if (this.#times.length < most) return false
    const meanwhile = tried - (this.#tried[this.#next] as number) + 1
    return at - (this.#times[this.#next] as number) < windowMs && most >= share * meanwhile
  }
}
