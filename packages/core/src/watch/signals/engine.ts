/** The detectors, run over observations as they come. Of each agent as much is remembered as they need, and no more. */
import { Lru } from './lru.ts'
import type { Detector, Finding, Observation, Signal, Watch } from './signal.ts'

export interface EngineParts {
  readonly detectors: readonly Detector[]
  /** How many agents are remembered: those heard of last. */
  readonly agents: number
}

/** How many things an agent was told about lately; each is quiet for a while. */
const QUIET = 128

interface Agent {
  readonly watches: readonly Watch[]
  /** Since when what was raised is not raised again, by detector and key. */
  readonly quiet: Lru<{ since: number }>
}

export class SignalEngine {
  readonly #detectors: readonly Detector[]
  readonly #agents: Lru<Agent>
  /** Whose key was made last: mostly the next one is theirs, too. */
  #last: { readonly tenant: string; readonly agent: string; readonly key: string } | undefined

  constructor({ detectors, agents }: EngineParts) {
    this.#detectors = detectors
    this.#agents = new Lru(agents, () => ({
      watches: detectors.map((detector) => detector.begin()),
      quiet: new Lru(QUIET, () => ({ since: Number.NEGATIVE_INFINITY })),
    }))
  }

  /** How many agents are remembered. */
  get agents(): number {
    return this.#agents.size
  }

  /** Takes an observation in; answers what it raises. What can't be dated or attributed raises nothing. */
  observe(seen: Observation): readonly Signal[] {
    if (!isSound(seen)) return NONE
    const agent = this.#agentOf(seen)
    let raised: Signal[] | undefined
    for (let at = 0; at < agent.watches.length; at++) {
      const finding = (agent.watches[at] as Watch).observe(seen)
      if (!finding) continue
      const detector = this.#detectors[at] as Detector
      // Invariant: an anomaly is told once. What goes on raises it again when the quiet is over.
      if (isQuiet(agent, detector, finding, seen.at)) continue
      raised ??= []
      raised.push(signalOf(detector, finding, seen))
    }
    return raised ?? NONE
  }

  /** Takes in what happened before, in any order, and raises nothing. */
  learn(seen: Observation): void {
    if (isSound(seen)) for (const watch of this.#agentOf(seen).watches) watch.learn(seen)
  }

  /** Somebody has looked at what a session did: the same again is told again. */
  release(tenant: string, agent: string, session: string): void {
    const { quiet, watches } = this.#agentOf({ tenant, agent })
    for (const [at, { signal, scope }] of this.#detectors.entries()) {
      watches[at]?.forget?.(session)
      if (scope === 'agent') continue
      for (const [key] of [...quiet.entries()]) if (key.startsWith(`${signal} `)) quiet.delete(key)
    }
  }

  #agentOf({ tenant, agent }: Pick<Observation, 'tenant' | 'agent'>): Agent {
    if (this.#last?.agent !== agent || this.#last.tenant !== tenant) {
      this.#last = { tenant, agent, key: `${tenant}\u0000${agent}` }
    }
    return this.#agents.of(this.#last.key)
  }
}

const NONE: readonly Signal[] = []
/** The last moment that a `Date` can name. */
const END = 8.64e15

function isSound({ at, agent, session }: Observation): boolean {
  return at >= 0 && at <= END && agent !== '' && session !== ''
}

function isQuiet({ quiet }: Agent, { signal, coolDownMs }: Detector, finding: Finding, at: number): boolean {
  const { key, quietMs = coolDownMs } = finding
  const told = quiet.of(`${signal} ${key}`)
  // A clock that was set back makes nothing quiet for longer than it was meant to be.
  if (Math.abs(at - told.since) < quietMs) return true
  told.since = at
  return false
}

function signalOf({ signal, scope }: Detector, finding: Finding, seen: Observation): Signal {
  const { key: _key, quietMs: _quietMs, ...found } = finding
  const { at, tenant, agent, session, tool } = seen
  return { signal, ...found, scope, at, tenant, agent, session, ...(tool === undefined ? {} : { tool }) }
}
