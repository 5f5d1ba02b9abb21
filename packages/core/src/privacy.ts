/** What an auditor does with recorded arguments: looks for a known value, opens what is sealed, has it erased. */
import { DigestKey } from './digest-key.ts'
import { Unavailable } from './errors.ts'
import { fromCanonical } from './gate/approvals/binding.ts'
import { checkKeys } from './options.ts'
import type { House } from './pass.ts'
import { scalarText } from './recorded-args.ts'
import { fingerprintOf, sealContext, subjectKeyName } from './recorder.ts'
import { openBytes } from './vault/cipher.ts'
import { FINGERPRINT_KEY, keyIdOf, SUBJECT_KEY } from './vault/kept-keys.ts'
import { checkedTenant, invalid } from './vault/secret-options.ts'
import { sessionFragment } from './watch/chain.ts'
import type { Entry } from './watch/entry.ts'
import {
  type Erased,
  type ErasureOf,
  type Fingerprintable,
  type Revealed,
  recordedIn,
  type TrailPrivacy,
  tampered,
} from './watch/privacy.ts'

export function privacyOf(house: House): TrailPrivacy {
  return {
    fingerprint: (tenant, value) => fingerprint(house, tenant, value),
    reveal: (entry) => reveal(house, entry),
    erase: (of) => erase(house, of),
  }
}

async function fingerprint({ fingerprintKeys }: House, tenant: string, value: Fingerprintable): Promise<string> {
  const text = scalarText(value)
  if (text === undefined) throw invalid('value', 'is a text, a number, a truth value, a date or a URL')
  return fingerprintOf(await fingerprintKeys.of(checkedTenant(tenant)), text)
}

async function reveal({ vault: { kept } }: House, entry: Entry): Promise<Revealed> {
  const { sealed = {}, sealKey: key, subject } = recordedIn(entry)
  const { tenant, call } = entry
  if (Object.keys(sealed).length === 0) return { erased: false, values: {} }
  if (typeof tenant !== 'string' || typeof call !== 'string' || typeof key !== 'string') throw tampered(undefined)
  // Invariant: the store is asked each time: what any process has erased, none reveals.
  const row = (await kept.versions(tenant, subjectKeyName(subject))).find((one) => keyIdOf(one) === key)
  if (!row) return { erased: true, values: {} }
  const opened = await kept.open(row)
  const values: Record<string, unknown> = {}
  for (const [path, text] of Object.entries(sealed)) {
    try {
      const context = sealContext({ tenant, subject, key, path, call })
      values[path] = fromCanonical(openBytes(opened, Buffer.from(text, 'base64'), context).toString('utf8'))
    } catch (cause) {
      throw tampered(cause)
    }
  }
  return { erased: false, values }
}

async function erase(house: House, of: ErasureOf): Promise<Erased> {
  checkKeys(of, ['tenant', 'subject'], 'fields of an erasure')
  const { subject } = of
  // Without a tenant nothing is erased by default: it would be everyone's who has none.
  if (of.tenant === undefined) throw invalid('tenant', 'says whose data is erased')
  const tenant = checkedTenant(of.tenant)
  // One that is `undefined` was meant to be an id: then not everything is erased.
  if (!Object.hasOwn(of, 'subject')) return eraseTenant(house, tenant)
  const text = typeof subject === 'string' || typeof subject === 'number' ? String(subject) : ''
  if (text === '') throw invalid('subject', 'is the id that calls name their subject by')
  return eraseSubject(house, tenant, text)
}

async function eraseSubject(house: House, tenant: string, subject: string): Promise<Erased> {
  const { kept } = house.vault
  const ids: string[] = []
  // By every key that fingerprints have had: an older one may have named the subject's.
  for (const version of await kept.versions(tenant, FINGERPRINT_KEY)) {
    const key = new DigestKey(keyIdOf(version), await kept.open(version))
    const fingerprint = fingerprintOf(key, subject)
    const name = subjectKeyName(fingerprint)
    const rows = await kept.versions(tenant, name)
    if (rows.length === 0) continue
    const keys = rows.map(keyIdOf)
    await destroy(house, tenant, [name], { subject: fingerprint, fingerprintKey: key.id, keys })
    ids.push(...keys)
  }
  return { erased: ids.length > 0, keys: ids }
}

async function eraseTenant(house: House, tenant: string): Promise<Erased> {
  const { vault, digestKeys, fingerprintKeys } = house
  const { kept } = vault
  const names = await kept.names(tenant)
  if (names.length === 0) return { erased: false, keys: [] }
  const known = await idsOf(house, tenant, names)
  await destroy(house, tenant, names, { of: 'tenant', keys: known.length })
  for (const keys of [digestKeys, fingerprintKeys]) keys.forget(tenant)
  // Invariant: a subject's key that was made meanwhile, by a fingerprint whose key is gone now, is found here or undone by
  // who made it: later no id would lead to it.
  const late = (await kept.names(tenant)).filter((name) => name.startsWith(SUBJECT_KEY) && !names.includes(name))
  if (late.length === 0) return { erased: true, keys: known }
  const keys = await idsOf(house, tenant, late)
  await destroy(house, tenant, late, { of: 'tenant', keys: keys.length })
  return { erased: true, keys: [...known, ...keys] }
}

async function idsOf({ vault: { kept } }: House, tenant: string, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map((name) => kept.find(tenant, name)))
  return found.filter((row) => row !== undefined).map(keyIdOf)
}

/** Invariant: nothing is destroyed that is not on record. One that fails after that is done and recorded again. */
async function destroy({ vault: { kept }, trail }: House, tenant: string, names: readonly string[], data: object) {
  const session = sessionFragment({ tenant, agent: null, id: null, chain: [] })
  await trail.record({ type: 'erasure', session, data: { ...data } })
  for (const name of names) {
    const before = await kept.find(tenant, name)
    await kept.destroy(tenant, name)
    // There may be a new one already.
    const after = before && (await kept.find(tenant, name))
    if (after && after.sealed === before.sealed) throw new Unavailable('the store did not destroy the key')
  }
}
