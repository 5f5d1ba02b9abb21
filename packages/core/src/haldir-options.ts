/** The options of `createHaldir`: every one checked by name, with its default. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { CheckedApprovals } from './approvals/approvals.ts'
import { type ApprovalOptions, checkApprovals } from './approvals/options.ts'
import type { Approver } from './approvers/approver.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Duration, parseDuration } from './duration.ts'
import type { FetchFunction, LookupNames, TransportOptions } from './egress/transport.ts'
import { ConfigError } from './errors.ts'
import { checkGuards, type Guard, type NamedGuard } from './gate/guards.ts'
import { type CompiledPolicy, compilePolicy } from './gate/policy/compile.ts'
import type { Policy } from './gate/policy/policy.ts'
import { type MeterOptions, StandingMeters } from './gate/standing.ts'
import { parseHost } from './hosts.ts'
import type { Journal } from './journal/journal.ts'
import { checkKeys } from './options.ts'
import { type CheckedSignals, checkSignals, type SignalOptions } from './signals/options.ts'
import { memorySink } from './sinks/memory.ts'
import type { Sink } from './sinks/sink.ts'
import { memoryStore } from './stores/memory.ts'
import type { Store } from './stores/store.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { checkDetection, type Detection, type DetectOptions } from './vault/detection.ts'
import type { KeyProvider } from './vault/keys.ts'
import { type CheckedCheckpoints, type CheckpointOptions, checkCheckpoints } from './watch/checkpoint-options.ts'

export interface HaldirOptions {
  /** Stands in every entry; tells several haldirs on one trail apart. */
  readonly name?: string
  /** Where sessions, budgets and secrets live. In memory unless given. */
  readonly store?: Store
  /** Where the trail goes; every one of them must accept an entry unless it says `required: false`. */
  readonly sinks?: readonly Sink[]
  /** Signed heads of the trail, so that nobody can rewrite it or cut it off. Absent, there are none. */
  readonly checkpoints?: CheckpointOptions
  /** The keys that seal secrets; the first seals, all of them unseal. */
  readonly vault?: { readonly keys: readonly KeyProvider[] }
  /** What judges calls beyond scopes: an object, or what `readPolicy` answered. Absent, scopes alone judge. */
  readonly policy?: Policy
  /** Standing budgets, quotas and rates, beside those that the scopes of sessions create. */
  readonly meters?: readonly MeterOptions[]
  /** Decision points outside, asked after the policy; they can only be stricter. */
  readonly guards?: readonly Guard[]
  /** The channels through which people are asked where a rule says `ask`; without any, only the application can. */
  readonly approvers?: readonly Approver[]
  /** How people are asked. Without this and `approvers`, a call that needs a person is refused. */
  readonly approvals?: ApprovalOptions
  /**
   * Looks for credentials that nobody has put into the vault, in results, arguments or both. Absent, nobody looks. In
   * shadow mode they are flagged, whatever it says.
   */
  readonly detect?: DetectOptions
  /** What is told of calls while they happen: `openTelemetry()` of `@haldir/core/telemetry`. */
  readonly telemetry?: Telemetry
  /** Watches for what is not as usual: spikes of spending, odd hours, repeated denials, loops. Absent, nobody watches. */
  readonly signals?: SignalOptions
  /** `shadow`: everything is judged, metered apart and recorded, and nothing is refused that could run. */
  readonly mode?: 'enforce' | 'shadow'
  /** How long store, sinks and keys may take to answer before a call is refused; 5 seconds, in shadow mode 250 ms. */
  readonly deadline?: Duration
  /**
   * Keeps how calls have ended while the store does not take it, also when this process dies: `fileJournal(folder)` of
   * `@haldir/core/journal`. Without one, such a hold counts as spent in full when its lease is over.
   */
  readonly journal?: Journal
  /** How long a hold counts as running without a sign of life from its process; 15 minutes. */
  readonly holdFor?: Duration
  /** Sends the requests of `session.fetch` instead of Haldir's own client. It must follow no redirect. */
  readonly fetch?: FetchFunction
  /** Where requests may lead. */
  readonly egress?: EgressOptions
  readonly clock?: Clock
  /** Makes ids: unique, of letters, digits, `_` and `-`. */
  readonly ids?: () => string
  readonly random?: (bytes: number) => Uint8Array
}

export interface EgressOptions {
  /** Places that are private, and meant: `billing.internal`, `127.0.0.1:8080`. All others are refused. */
  readonly privateHosts?: readonly string[]
  /** The addresses of a name; the machine's resolver unless given. With a `fetch` of your own, names are asked about only if it is. */
  readonly lookup?: LookupNames
}

const KEYS = [
  'name',
  'store',
  'sinks',
  'checkpoints',
  'vault',
  'policy',
  'meters',
  'guards',
  'approvers',
  'approvals',
  'detect',
  'signals',
  'telemetry',
  'mode',
  'deadline',
  'journal',
  'holdFor',
  'fetch',
  'egress',
  'clock',
  'ids',
  'random',
] as const
const STORE_VERBS = ['admit', 'reserve', 'settle', 'cancel', 'renew', 'expire'] as const
/** What a store must be able to do beside that, by the group it stands in. */
const GROUPED_VERBS = {
  session: ['create', 'get', 'extend', 'revokeTree', 'suspendTree', 'resumeTree'],
  meters: ['read'],
  hold: ['get'],
  approval: ['request', 'get', 'find', 'list', 'change', 'use', 'expire', 'due', 'shown', 'later', 'note'],
  secret: ['put', 'get', 'list', 'rewrap', 'used', 'delete'],
  writer: ['put'],
} as const satisfies { readonly [G in keyof Store]?: readonly (keyof Store[G])[] }
const ID = /^[A-Za-z0-9_-]{1,64}$/

export interface CheckedOptions {
  readonly name: string
  readonly store: Store
  readonly sinks: readonly Sink[]
  readonly checkpoints: CheckedCheckpoints | undefined
  readonly keys: readonly KeyProvider[]
  readonly policy: CompiledPolicy | undefined
  readonly standing: StandingMeters
  readonly guards: readonly NamedGuard[]
  readonly detection: Detection | undefined
  readonly approvals: CheckedApprovals | undefined
  readonly signals: CheckedSignals | undefined
  readonly telemetry: Telemetry | undefined
  readonly shadow: boolean
  /** What the keys of everything that is counted apart begin with. */
  readonly apart: string
  readonly deadlineMs: number
  readonly leaseMs: number
  readonly journal: Journal | undefined
  readonly egress: TransportOptions
  readonly clock: Clock
  readonly ids: () => string
  readonly random: (bytes: number) => Uint8Array
}

/** Throws `ConfigError`, naming the option. */
export function checkHaldirOptions(options: HaldirOptions): CheckedOptions {
  checkKeys(options, KEYS, 'options of `createHaldir`')
  const { name = 'haldir', clock = systemClock, random = randomBytes, mode = 'enforce' } = options
  if (typeof name !== 'string' || name === '') throw invalid('name', 'is a string')
  if (mode !== 'enforce' && mode !== 'shadow') throw invalid('mode', 'is `enforce` or `shadow`')
  for (const part of ['now', 'monotonic', 'setTimeout'] as const) {
    if (typeof clock?.[part] !== 'function') throw invalid(`clock.${part}`, 'is a function')
  }
  if (typeof random !== 'function') throw invalid('random', 'is a function')
  if (options.ids !== undefined && typeof options.ids !== 'function') throw invalid('ids', 'is a function')
  const store = options.store ?? memoryStore({ clock })
  for (const verb of STORE_VERBS) if (typeof store?.[verb] !== 'function') throw invalid('store', 'is not a store')
  for (const [group, verbs] of Object.entries(GROUPED_VERBS)) {
    const of = store[group as keyof typeof GROUPED_VERBS] as unknown as Readonly<Record<string, unknown>> | undefined
    if (!verbs.every((verb) => typeof of?.[verb] === 'function')) throw invalid('store', 'is not a store')
  }
  const apart = mode === 'shadow' ? 'shadow|' : ''
  return {
    name,
    store,
    sinks: checkedSinks(options.sinks),
    checkpoints: checkCheckpoints(options.checkpoints),
    keys: checkedKeys(options.vault),
    policy: options.policy === undefined ? undefined : compilePolicy(options.policy),
    standing: new StandingMeters(options.meters ?? [], apart),
    guards: checkGuards(options.guards),
    detection: checkDetection(options.detect),
    approvals: checkApprovals(options.approvers, options.approvals),
    signals: checkSignals(options.signals),
    telemetry: checkedTelemetry(options.telemetry),
    shadow: mode === 'shadow',
    apart,
    deadlineMs: parseDuration(options.deadline ?? (mode === 'shadow' ? '250ms' : '5s'), 'deadline'),
    leaseMs: parseDuration(options.holdFor ?? '15m', 'holdFor'),
    journal: checkedJournal(options.journal),
    egress: checkedEgress(options),
    clock,
    ids: options.ids ? checkedIds(options.ids) : randomUUID,
    random,
  }
}

function checkedJournal(journal: Journal | undefined): Journal | undefined {
  const verbs = ['keep', 'paid', 'adopt', 'close'] as const
  if (journal === undefined || verbs.every((verb) => typeof journal?.[verb] === 'function')) return journal
  throw invalid('journal', 'is a journal')
}

function checkedIds(ids: () => string): () => string {
  return () => {
    const id = ids()
    if (typeof id !== 'string' || !ID.test(id)) throw invalid('ids', 'makes ids of 1 to 64 letters, digits, `_` or `-`')
    return id
  }
}

let warned = false

function checkedSinks(sinks: readonly Sink[] | undefined): readonly Sink[] {
  if (sinks === undefined) {
    if (!warned)
      process.emitWarning('no `sinks` given: the audit trail is kept in memory and lost at exit', 'HaldirWarning')
    warned = true
    return [memorySink()]
  }
  if (!Array.isArray(sinks) || sinks.length === 0) throw invalid('sinks', 'is a list of at least one sink')
  for (const [index, sink] of sinks.entries()) {
    if (typeof sink?.write !== 'function') throw invalid(`sinks.${index}`, 'is not a sink')
  }
  if (sinks.every((sink) => sink.required === false)) throw invalid('sinks', 'has at least one required sink')
  return sinks
}

function checkedKeys(vault: HaldirOptions['vault']): readonly KeyProvider[] {
  if (vault === undefined) return []
  checkKeys(vault, ['keys'], 'options of `vault`', 'vault')
  if (!Array.isArray(vault.keys) || vault.keys.length === 0)
    throw invalid('vault.keys', 'is a list of at least one key')
  for (const [index, key] of vault.keys.entries()) {
    const whole = typeof key?.id === 'string' && typeof key.wrap === 'function' && typeof key.unwrap === 'function'
    if (!whole) throw invalid(`vault.keys.${index}`, 'is not a key provider')
    // `none` stands where nothing wraps; of two keys with one id the second would never be asked.
    const taken = key.id === '' || key.id === 'none' || vault.keys.findIndex(({ id }) => id === key.id) !== index
    if (taken) throw invalid(`vault.keys.${index}`, 'has an `id` that no other key has, and not `none`')
  }
  return vault.keys
}

function checkedTelemetry(telemetry: Telemetry | undefined): Telemetry | undefined {
  if (telemetry === undefined) return undefined
  for (const part of ['call', 'spent', 'approvalEnded', 'watch'] as const) {
    if (typeof telemetry?.[part] !== 'function') throw invalid('telemetry', 'is what `openTelemetry()` answers')
  }
  return telemetry
}

function checkedEgress({ fetch, egress = {} }: HaldirOptions): TransportOptions {
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch', 'is a function')
  checkKeys(egress, ['privateHosts', 'lookup'], 'options of `egress`', 'egress')
  const { privateHosts = [], lookup } = egress
  if (lookup !== undefined && typeof lookup !== 'function') throw invalid('egress.lookup', 'is a function')
  if (!Array.isArray(privateHosts)) throw invalid('egress.privateHosts', 'is a list of hosts')
  const hosts = privateHosts.map((host, index) => {
    const parsed = parseHost(host)
    if (parsed === undefined) throw invalid(`egress.privateHosts.${index}`, 'is a host such as `billing.internal:8443`')
    return parsed
  })
  return { fetch, lookup, privateHosts: hosts }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
