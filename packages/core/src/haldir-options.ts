/** The options of `createHaldir`: every one checked by name, with its default. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type Clock, systemClock } from './clock.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError } from './errors.ts'
import { checkKeys } from './options.ts'
import { memorySink } from './sinks/memory.ts'
import type { Sink } from './sinks/sink.ts'
import { memoryStore } from './stores/memory.ts'
import type { Store } from './stores/store.ts'
import type { KeyProvider } from './vault/keys.ts'

export interface HaldirOptions {
  /** Stands in every entry; tells several haldirs on one trail apart. */
  readonly name?: string
  /** Where sessions, budgets and secrets live. In memory unless given. */
  readonly store?: Store
  /** Where the trail goes; every one of them must accept an entry unless it says `required: false`. */
  readonly sinks?: readonly Sink[]
  /** The keys that seal secrets; the first seals, all of them unseal. */
  readonly vault?: { readonly keys: readonly KeyProvider[] }
  readonly mode?: 'enforce'
  /** How long store, sinks and keys may take to answer before a call is refused; 5 seconds. */
  readonly deadline?: Duration
  /** How long a hold counts as running without a sign of life from its process; 15 minutes. */
  readonly holdFor?: Duration
  readonly clock?: Clock
  /** Makes ids: unique, of letters, digits, `_` and `-`. */
  readonly ids?: () => string
  readonly random?: (bytes: number) => Uint8Array
}

const KEYS = ['name', 'store', 'sinks', 'vault', 'mode', 'deadline', 'holdFor', 'clock', 'ids', 'random'] as const
const STORE_VERBS = ['admit', 'reserve', 'settle', 'cancel', 'renew', 'expire'] as const
const ID = /^[A-Za-z0-9_-]{1,64}$/

export interface CheckedOptions {
  readonly name: string
  readonly store: Store
  readonly sinks: readonly Sink[]
  readonly keys: readonly KeyProvider[]
  readonly deadlineMs: number
  readonly leaseMs: number
  readonly clock: Clock
  readonly ids: () => string
  readonly random: (bytes: number) => Uint8Array
}

/** Throws `ConfigError`, naming the option. */
export function checkHaldirOptions(options: HaldirOptions): CheckedOptions {
  checkKeys(options, KEYS, 'options of `createHaldir`')
  const { name = 'haldir', clock = systemClock, random = randomBytes, mode = 'enforce' } = options
  if (typeof name !== 'string' || name === '') throw invalid('name', 'is a string')
  if (mode !== 'enforce') throw invalid('mode', 'is `enforce`')
  for (const part of ['now', 'monotonic', 'setTimeout'] as const) {
    if (typeof clock?.[part] !== 'function') throw invalid(`clock.${part}`, 'is a function')
  }
  if (typeof random !== 'function') throw invalid('random', 'is a function')
  if (options.ids !== undefined && typeof options.ids !== 'function') throw invalid('ids', 'is a function')
  const store = options.store ?? memoryStore({ clock })
  for (const verb of STORE_VERBS) if (typeof store?.[verb] !== 'function') throw invalid('store', 'is not a store')
  const { session, meters, secret, writer } = store
  const grouped = [
    session?.create,
    session?.get,
    session?.revokeTree,
    meters?.read,
    secret?.put,
    secret?.get,
    writer?.put,
  ]
  if (!grouped.every((verb) => typeof verb === 'function')) throw invalid('store', 'is not a store')
  return {
    name,
    store,
    sinks: checkedSinks(options.sinks),
    keys: checkedKeys(options.vault),
    deadlineMs: parseDuration(options.deadline ?? '5s', 'deadline'),
    leaseMs: parseDuration(options.holdFor ?? '15m', 'holdFor'),
    clock,
    ids: options.ids ? checkedIds(options.ids) : randomUUID,
    random,
  }
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
  }
  return vault.keys
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
