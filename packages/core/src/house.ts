/** The parts of a haldir, made from its options. */
import { DigestKeys } from './digest-keys.ts'
import { Transport } from './egress/transport.ts'
import { Faults } from './faults.ts'
import { Holds } from './gate/holds.ts'
import { LoadedPolicy } from './gate/policy/loaded.ts'
import { parseRequired } from './gate/scopes.ts'
import type { CheckedOptions } from './haldir-options.ts'
import type { House } from './pass.ts'
import { Recorder } from './recorder.ts'
import { Reports } from './reporting.ts'
import { mindedStore, StoreHealth } from './store-health.ts'
import type { Store } from './stores/store.ts'
import { FINGERPRINT_KEY } from './vault/kept-keys.ts'
import { SealedVault } from './vault/vault.ts'
import { type Draft, sessionFragment } from './watch/chain.ts'
import { Notary } from './watch/checkpoints.ts'
import { WrittenTrail } from './watch/trail.ts'
import type { TrailParts } from './watch/trail-parts.ts'

/** `warn`: what an operator should know. */
export function assemble(given: CheckedOptions, warn: (warning: string) => void): House {
  const { clock, ids, deadlineMs, leaseMs, shadow, apart, guards, detection, standing, policy } = given
  const faults = new Faults()
  const store = mindedStore(given.store, new StoreHealth(faults), () => leaveStore(given.store))
  const options = { ...given, store }
  // Nothing happens for an entry when nobody watches.
  const observe = options.signals && ((draft: Draft, at: number) => house.signals?.observe(draft, at))
  const trail = trailOf(options, faults, observe)
  const vault = vaultOf(options, trail, faults)
  const unsealed = () => warn('keys of recorded arguments are stored unsealed: set `vault.keys`')
  const fingerprintKeys = new DigestKeys((tenant) => vault.kept.of(tenant, FINGERPRINT_KEY), clock, unsealed)
  const reports = options.telemetry && new Reports(options.telemetry, clock, faults)
  reports?.watch(options.name, trail)
  joinStore(given.store)
  const house: House = {
    clock,
    ids,
    store,
    trail,
    vault,
    digestKeys: new DigestKeys(
      (tenant) => vault.digestKey(tenant),
      clock,
      () => warn('digest keys are stored unsealed: set `vault.keys`'),
    ),
    fingerprintKeys,
    recorder: new Recorder({ keys: fingerprintKeys, kept: vault.kept, random: options.random, unsealed }),
    egress: new Transport({ ...options.egress, clock, deadlineMs }),
    holds: new Holds({
      store,
      clock,
      deadlineMs,
      leaseMs,
      journal: options.journal,
      failed: (part, error) => faults.note(part, error),
    }),
    standing,
    guards,
    approvals: undefined,
    signals: undefined,
    detection,
    policy: policy && new LoadedPolicy(policy),
    shadow,
    apart,
    nobody: undefined,
    observed: new Map(),
    faults,
    reports,
    deadlineMs,
    belongings: new WeakMap(),
    running: new Set(),
    watch: undefined,
    open: true,
  }
  store.health.again = () => house.holds.retry()
  house.holds.adopt()
  return house
}

function trailOf(options: CheckedOptions, faults: Faults, observe: TrailParts['observe']): WrittenTrail {
  const { name, ids, sinks, store, clock, deadlineMs, shadow, checkpoints } = options
  const fault = (part: string, error: unknown) => faults.note(part, error)
  const notary = checkpoints && new Notary({ ...checkpoints, clock, deadlineMs, fault })
  const registry = store.writer
  return new WrittenTrail({ haldir: name, ids, sinks, registry, clock, deadlineMs, enforced: !shadow, notary, observe })
}

function vaultOf({ keys, store, random, clock, deadlineMs }: CheckedOptions, trail: WrittenTrail, faults: Faults) {
  return new SealedVault({
    keys,
    secrets: store.secret,
    random,
    clock,
    deadlineMs,
    checkScope: parseRequired,
    record: ({ type, tenant, name: secret, version, key }) => {
      const session = sessionFragment({ tenant, agent: null, id: null, chain: [] })
      return trail.record({ type, session, data: { secret, version, ...(key === undefined ? {} : { key }) } })
    },
    fault: (error) => faults.note('vault', error),
  })
}

/** How many haldirs use a store object: the last one to close closes it. */
const users = new WeakMap<Store, number>()

function joinStore(store: Store): void {
  users.set(store, (users.get(store) ?? 0) + 1)
}

async function leaveStore(store: Store): Promise<void> {
  const left = (users.get(store) ?? 1) - 1
  users.set(store, left)
  if (left === 0) await store.close?.()
}
