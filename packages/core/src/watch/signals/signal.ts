/** What a detector sees, and what it raises. */
import type { EntryType } from '../entry.ts'

/** Every kind of signal. */
export const SIGNALS = ['spend-spike', 'off-hours', 'repeated-denials', 'first-use', 'burst', 'loop'] as const

export type SignalName = (typeof SIGNALS)[number]

export type Severity = 'low' | 'medium' | 'high'

/** What a signal is about, and what is held back for it: everything the agent does, or what one session does. */
export type SignalScope = 'agent' | 'session'

/** What detectors see of an entry. No argument, no result: they are not in entries. */
export interface Observation {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly type: EntryType
  readonly tenant: string
  readonly agent: string
  readonly session: string
  readonly tool?: string | undefined
  readonly code?: string | undefined
  readonly digest?: string | undefined
  readonly spent?: readonly Spent[] | undefined
}

/** An amount as a number: a signal is no accounting. */
export interface Spent {
  readonly unit: string
  readonly amount: number
}

/** What a detector has found, before it is known whose doing it is. */
export interface Finding {
  /** Which of a detector's tests it was: `one`, `hour`, `day`, `drift`; of a loop, how many calls it goes round. */
  readonly kind?: string
  /** What was measured, and the value it must not reach. */
  readonly value: number
  readonly threshold: number
  /** The span of time it was measured over, in milliseconds. */
  readonly windowMs: number
  readonly severity: Severity
  /** Of spending. */
  readonly unit?: string
  /** Of denials. */
  readonly code?: string
  /** Names what must be quiet for a while after this, within the agent. */
  readonly key: string
  /** For how long, if not for as long as the detector says. */
  readonly quietMs?: number
}

/** An anomaly, once. */
export interface Signal extends Omit<Finding, 'key' | 'quietMs'> {
  readonly signal: SignalName
  readonly scope: SignalScope
  /** When the entry that raised it was written, in milliseconds since the epoch. */
  readonly at: number
  readonly tenant: string
  readonly agent: string
  /** The session whose entry raised it. */
  readonly session: string
  readonly tool?: string
}

/** Looks for one kind of anomaly. Holds options alone; what it remembers of an agent is a `Watch`. */
export interface Detector {
  readonly signal: SignalName
  readonly scope: SignalScope
  /** How long the same is not said again, in milliseconds. */
  readonly coolDownMs: number
  begin(): Watch
}

/** What one detector remembers of one agent. Invariant: its memory is bounded, whatever is observed. */
export interface Watch {
  /** Takes an observation in; answers what is wrong with it. */
  observe(seen: Observation): Finding | undefined
  /** Takes in what happened before, in any order, without judging it. */
  learn(seen: Observation): void
  /** Forgets what it counts of one session: that was looked at, and begins anew. */
  forget?(session: string): void
}

/** A call that was tried: it went, or was refused. Waiting for a person is neither. */
export function isAttempt({ type, code }: Observation): boolean {
  return type === 'intent' || (type === 'refusal' && code !== 'approval-pending')
}

export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
