import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { memoryStore } from '../stores/memory.ts'
import type { SecretVerbs } from '../stores/store.ts'
import { DIGEST_KEY, FINGERPRINT_KEY, KeptKeys, SUBJECT_KEY } from './kept-keys.ts'
import { envKey, type KeyProvider } from './keys.ts'
import { Sealer } from './seal.ts'

const keyOf = (byte: number) => envKey('K', { env: { K: Buffer.alloc(32, byte).toString('hex') } })
const SUBJECT = `${SUBJECT_KEY}.${'a'.repeat(64)}`

/** What was drawn: never the same twice, whoever draws. */
let drawn = 0

function keptOf({
  keys = [keyOf(1)],
  secrets = memoryStore().secret,
}: {
  keys?: readonly KeyProvider[]
  secrets?: SecretVerbs
} = {}) {
  const random = (bytes: number) => Buffer.alloc(bytes, ++drawn)
  const parts = { keys, secrets, random, clock: systemClock, deadlineMs: 1_000 }
  return { kept: new KeptKeys(parts, new Sealer(parts)), secrets }
}

describe('a key of the haldir’s own', () => {
  it('is made once, and destroyed for good', async () => {
    const { kept, secrets } = keptOf()
    const made = await kept.of('acme', SUBJECT)
    expect(made).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{16}$/), sealed: true, made: true })
    expect(await keptOf({ secrets }).kept.of('acme', SUBJECT)).toEqual({ ...made, made: false })
    expect((await kept.of('acme', `${SUBJECT}b`)).id).not.toBe(made.id)
    expect(await kept.destroy('acme', SUBJECT)).toBe(true)
    expect(await kept.destroy('acme', SUBJECT)).toBe(false)
    expect(await kept.versions('acme', SUBJECT)).toEqual([])
    const next = await kept.of('acme', SUBJECT)
    expect(next.id).not.toBe(made.id)
    expect(next.key.equals(made.key)).toBe(false)
  })

  it('that was destroyed by another process is used by none', async () => {
    const { kept, secrets } = keptOf()
    const made = await kept.of('acme', SUBJECT)
    await keptOf({ secrets }).kept.destroy('acme', SUBJECT)
    expect((await kept.of('acme', SUBJECT)).id).not.toBe(made.id)
  })

  it.each([DIGEST_KEY, FINGERPRINT_KEY])('named by its version never gets one that was used: %s', async (name) => {
    const { kept } = keptOf()
    const ids = new Set<string>()
    for (let round = 0; round < 4; round++) {
      ids.add((await kept.of('acme', name)).id)
      await kept.destroy('acme', name)
    }
    expect(ids.size).toBe(4)
    expect(await kept.names('acme')).toEqual([])
    expect((await kept.of('other', name)).id).toBe('other.1')
  })

  it('asks the provider once for a row, and again when it was wrapped anew', async () => {
    let unwraps = 0
    const counted = (byte: number): KeyProvider => {
      const inner = keyOf(byte)
      return {
        ...inner,
        unwrap: (wrapped, context) => {
          unwraps++
          return inner.unwrap(wrapped, context)
        },
      }
    }
    const { kept, secrets } = keptOf({ keys: [counted(1)] })
    const made = await kept.of('acme', SUBJECT)
    const before = unwraps
    for (let turn = 0; turn < 5; turn++) expect(await kept.of('acme', SUBJECT)).toEqual({ ...made, made: false })
    expect(unwraps).toBe(before)
    // The row changes; what is in it does not.
    const parts = {
      keys: [keyOf(2), keyOf(1)],
      random: (n: number) => Buffer.alloc(n, 9),
      clock: fakeClock(),
      deadlineMs: 1_000,
    }
    const row = (await kept.find('acme', SUBJECT)) as never
    const fresh = await new Sealer(parts).rewrap(row, (error) => expect.fail(String(error)))
    expect(await secrets.rewrap(fresh as never, row)).toBe(true)
    await expect(kept.of('acme', SUBJECT)).rejects.toSatisfy(Unavailable.isInstance)
    expect(await keptOf({ keys: [keyOf(2)], secrets }).kept.of('acme', SUBJECT)).toEqual({ ...made, made: false })
  })

  it('without a wrapping key lies plain, and stays readable when there is one', async () => {
    const { kept, secrets } = keptOf({ keys: [] })
    const plain = await kept.of('acme', SUBJECT)
    expect(plain.sealed).toBe(false)
    const later = keptOf({ secrets }).kept
    const sealed = await later.of('acme', SUBJECT)
    expect([sealed.sealed, sealed.id === plain.id]).toEqual([true, false])
    const rows = await later.versions('acme', SUBJECT)
    expect(rows.map(({ scope }) => scope).sort()).toEqual([plain.id, sealed.id].sort())
    expect(await later.open(rows.find(({ scope }) => scope === plain.id) as never)).toEqual(plain.key)
    expect(await later.destroy('acme', SUBJECT)).toBe(true)
    expect(await later.versions('acme', SUBJECT)).toEqual([])
  })

  it('that was exchanged in the store is not taken for the one that entries name', async () => {
    const { kept, secrets } = keptOf({ keys: [] })
    await kept.of('acme', SUBJECT)
    const row = (await kept.find('acme', SUBJECT)) as { scope: string }
    const other = { ...row, sealed: Buffer.alloc(32, 5).toString('base64') }
    await expect(keptOf({ keys: [], secrets }).kept.open(other as never)).rejects.toSatisfy(Unavailable.isInstance)
    await expect(kept.open(other as never)).rejects.toSatisfy(Unavailable.isInstance)
  })

  it.each<[string, Partial<SecretVerbs>]>([
    ['answers another tenant’s row', { get: () => ({ tenant: 'x', name: SUBJECT }) as never }],
    ['keeps nothing', { put: () => false }],
    ['is down', { get: () => Promise.reject(new Error('down')) }],
  ])('is none when the store %s', async (_, verbs) => {
    const { secret } = memoryStore()
    const { kept } = keptOf({ secrets: { ...secret, ...verbs } })
    await expect(kept.of('acme', SUBJECT)).rejects.toSatisfy(Unavailable.isInstance)
  })

  it('is made once when many want it at once', async () => {
    const { secret } = memoryStore()
    const slow: SecretVerbs = { ...secret, get: async (tenant, name) => secret.get(tenant, name) }
    const made = await Promise.all(Array.from({ length: 8 }, () => keptOf({ secrets: slow }).kept.of('acme', SUBJECT)))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  })
})
