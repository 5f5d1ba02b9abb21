import { randomBytes } from 'node:crypto'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { describe, expect, test } from 'vitest'
import { ConfigError, Unavailable } from '../errors.ts'
import { parseRequired } from '../gate/scopes.ts'
import { memoryStore } from '../stores/memory.ts'
import type { SealedSecret, SecretVerbs } from '../stores/store.ts'
import { envKey, type KeyProvider } from './keys.ts'
import { SealedVault, type VaultParts } from './vault.ts'

const VALUE = 'sk_live_51HaldirCanary'
const DEADLINE = 5_000
const keyOf = (digit: string) => envKey('KEY', { env: { KEY: digit.repeat(64) } })

interface Fixture {
  readonly vault: SealedVault
  readonly secrets: SecretVerbs
  readonly clock: FakeClock
  readonly puts: unknown[]
  readonly drawn: Buffer[]
  readonly faults: unknown[]
}

function vaultOf(parts: Partial<VaultParts> = {}): Fixture {
  const clock = fakeClock()
  const puts: unknown[] = []
  const drawn: Buffer[] = []
  const faults: unknown[] = []
  const secrets = parts.secrets ?? memoryStore({ clock }).secret
  const vault = new SealedVault({
    keys: [keyOf('a')],
    secrets,
    random(length) {
      const bytes = randomBytes(length)
      drawn.push(Buffer.from(bytes))
      return bytes
    },
    clock,
    deadlineMs: DEADLINE,
    checkScope: parseRequired,
    record: (change) => void puts.push(change),
    fault: (error) => void faults.push(error),
    ...parts,
  })
  return { vault, secrets, clock, puts, drawn, faults }
}

/** Waits for work that the clock has to be moved for, and answers what it rejected with. */
async function failure(work: Promise<unknown>, clock?: FakeClock, ms = DEADLINE): Promise<Error> {
  let ended: unknown = 'nothing was refused'
  const done = work.then(
    () => {},
    (error) => {
      ended = error
    },
  )
  await clock?.advance(ms)
  if (!clock) await done
  expect(ended).toBeInstanceOf(Error)
  return ended as Error
}

async function stored(fixture: Fixture, name = 'stripe_key', tenant = 'default'): Promise<SealedSecret> {
  const found = await fixture.vault.find(tenant, name)
  if (!found) throw new Error('nothing is stored')
  return found
}

describe('putting and opening', () => {
  test.each([VALUE, 'x', ' blanks \n', 'ünï-密码-🔑', '\0\u0001', 'x'.repeat(100_000)])(
    '%j comes back as it was',
    async (value) => {
      const fixture = vaultOf()
      expect(await fixture.vault.put('stripe_key', value, { scope: 'spend' })).toEqual({
        name: 'stripe_key',
        version: 1,
      })
      const opened = await fixture.vault.open(await stored(fixture))
      expect(opened.toString('utf8')).toBe(value)
    },
  )

  test('nothing of the value is in the store, and who may use it is', async () => {
    const fixture = vaultOf()
    await fixture.vault.put('stripe_key', VALUE, { scope: 'spend', tools: ['charge'], tenant: 'acme' })
    const row = await stored(fixture, 'stripe_key', 'acme')
    expect(row).toMatchObject({ tenant: 'acme', name: 'stripe_key', version: 1, scope: 'spend', tools: ['charge'] })
    expect(row.keyId).toBe(keyOf('a').id)
    const all = JSON.stringify(row) + Buffer.from(row.sealed, 'base64').toString('latin1')
    for (const form of [VALUE, Buffer.from(VALUE).toString('base64').slice(0, 20)]) expect(all).not.toContain(form)
    expect(await fixture.vault.find('default', 'stripe_key')).toBeUndefined()
  })

  test('each version has its own data key and nonce, the newest is found, and the older ones still open', async () => {
    const fixture = vaultOf()
    const rows: SealedSecret[] = []
    for (let version = 1; version <= 5; version++) {
      expect(await fixture.vault.put('stripe_key', VALUE, { scope: 'spend' })).toMatchObject({ version })
      rows.push(await stored(fixture))
    }
    const nonces = rows.flatMap(({ wrapped, sealed }) => [wrapped, sealed].map((text) => text.slice(0, 16)))
    expect(new Set(nonces).size).toBe(10)
    expect(new Set(rows.map(({ sealed }) => sealed)).size).toBe(5)
    const dataKeys = fixture.drawn.filter(({ length }) => length === 32).map((key) => key.toString('hex'))
    expect(new Set(dataKeys).size).toBe(5)
    for (const row of rows) expect((await fixture.vault.open(row)).toString()).toBe(VALUE)
    expect(fixture.puts).toEqual(
      rows.map(({ version }) => ({ type: 'secret-put', tenant: 'default', name: 'stripe_key', version })),
    )
  })

  test('a put is stored only after the trail took it', async () => {
    const fixture = vaultOf({
      record: () => Promise.reject(new Unavailable('the trail is broken')),
    })
    expect((await failure(fixture.vault.put('stripe_key', VALUE, { scope: 'spend' }))).message).toBe(
      'the trail is broken',
    )
    expect(await fixture.vault.find('default', 'stripe_key')).toBeUndefined()
  })

  test('puts of one name at once in two vaults on one store become versions of their own', async () => {
    const { secret } = memoryStore()
    const slow: SecretVerbs = { ...secret, get: async (tenant, name) => secret.get(tenant, name) }
    const vaults = [vaultOf({ secrets: slow }).vault, vaultOf({ secrets: slow }).vault]
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, index) => vaults[index % 2]?.put('key', `value-${index}`, { scope: 'read' })),
    )
    expect(made.map((put) => put?.version).sort()).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('what is bound is what was asked for, also when the caller changes its list meanwhile', async () => {
    const fixture = vaultOf({ keys: [slowKey()] })
    const tools = ['charge']
    const put = fixture.vault.put('stripe_key', VALUE, { scope: 'spend', tools })
    tools.push('anything')
    await fixture.clock.advance(0)
    await put
    tools.push('more')
    const row = await stored(fixture)
    expect(row.tools).toEqual(['charge'])
    expect((await fixture.vault.open(row)).toString()).toBe(VALUE)
  })
})

function slowKey(): KeyProvider {
  const { id, wrap, unwrap } = keyOf('a')
  return { id, wrap: async (...args) => wrap(...args), unwrap: async (...args) => unwrap(...args) }
}

describe('tampering in the store', () => {
  test.each<[string, Partial<SealedSecret>]>([
    ['tenant', { tenant: 'other' }],
    ['name', { name: 'other' }],
    ['version', { version: 2 }],
    ['key', { keyId: 'env:KEY:00000000' }],
    ['scope', { scope: 'read' }],
    ['a tool added', { tools: ['charge', 'print'] }],
    ['a tool replaced', { tools: ['print'] }],
    ['a host', { hosts: ['evil.example'] }],
    ['tools joined', { tools: ['charge","print'] }],
    ['no tools, which means all', { tools: [] }],
    ['no data key', { wrapped: '' }],
    ['no ciphertext', { sealed: '' }],
    ['a field that is missing', { sealed: undefined as never }],
    ['a version that is no number', { version: 1n as never }],
  ])('%s: the secret does not open', async (_, change) => {
    const fixture = vaultOf()
    await fixture.vault.put('stripe_key', VALUE, { scope: 'spend', tools: ['charge'] })
    const row = await stored(fixture)
    expect((await fixture.vault.open(row)).toString()).toBe(VALUE)
    const error = await failure(fixture.vault.open({ ...row, ...change }))
    expect(error).toBeInstanceOf(Unavailable)
    expect(error.message).not.toContain(VALUE)
  })

  test('the key id is bound too: a second key with the same bytes does not open it under its own name', async () => {
    const first = keyOf('a')
    const twin = { ...first, id: 'twin' }
    const fixture = vaultOf({ keys: [first, twin] })
    await fixture.vault.put('stripe_key', VALUE, { scope: 'spend' })
    const row = await stored(fixture)
    expect(await failure(fixture.vault.open({ ...row, keyId: 'twin' }))).toBeInstanceOf(Unavailable)
  })

  test('ciphertexts and data keys do not change places between names, tenants or versions', async () => {
    const fixture = vaultOf()
    await fixture.vault.put('one', VALUE, { scope: 'spend' })
    await fixture.vault.put('two', 'another', { scope: 'spend' })
    await fixture.vault.put('one', 'elsewhere', { scope: 'spend', tenant: 'acme' })
    const [one, two] = [await stored(fixture, 'one'), await stored(fixture, 'two')]
    await fixture.vault.put('one', 'newer', { scope: 'spend' })
    const others = [two, await stored(fixture, 'one', 'acme'), await stored(fixture, 'one')]
    for (const other of others) {
      const { wrapped, sealed } = other
      for (const change of [{ sealed }, { wrapped }, { wrapped, sealed }]) {
        expect(await failure(fixture.vault.open({ ...one, ...change }))).toBeInstanceOf(Unavailable)
      }
    }
  })

  test('bytes that are cut short do not open, whichever they are', async () => {
    const fixture = vaultOf()
    await fixture.vault.put('stripe_key', VALUE, { scope: 'spend' })
    const row = await stored(fixture)
    for (const part of ['wrapped', 'sealed'] as const) {
      const bytes = Buffer.from(row[part], 'base64')
      for (const length of [0, 11, 12, 27, 28, bytes.length - 12, bytes.length - 1]) {
        const short = { ...row, [part]: bytes.subarray(0, length).toString('base64') }
        expect(await failure(fixture.vault.open(short))).toBeInstanceOf(Unavailable)
      }
    }
  })

  test('a key that is not here opens nothing, and one that was added behind another still opens', async () => {
    const before = vaultOf()
    await before.vault.put('stripe_key', VALUE, { scope: 'spend' })
    const row = await stored(before)
    expect(await failure(vaultOf({ keys: [keyOf('b')] }).vault.open(row))).toBeInstanceOf(Unavailable)
    expect((await vaultOf({ keys: [keyOf('b'), keyOf('a')] }).vault.open(row)).toString()).toBe(VALUE)
  })
})

describe('a store that answers with another’s row', () => {
  test.each<[string, Partial<SealedSecret>]>([
    ['tenant', { tenant: 'acme' }],
    ['name', { name: 'other_key' }],
  ])('of another %s is not taken for what was asked for', async (_, change) => {
    const { secret } = memoryStore()
    const get: SecretVerbs['get'] = (tenant, name) => secret.get(change.tenant ?? tenant, change.name ?? name)
    const fixture = vaultOf({ secrets: { ...secret, get } })
    await vaultOf({ secrets: secret }).vault.put(change.name ?? 'key', VALUE, {
      scope: 'spend',
      ...(change.tenant && { tenant: change.tenant }),
    })
    expect(await failure(fixture.vault.find('default', 'key'))).toBeInstanceOf(Unavailable)
  })
})

describe('what put refuses', () => {
  const put = (name: unknown, value: unknown, options: unknown) =>
    vaultOf().vault.put(name as string, value as string, options as { scope: string })

  test.each(['', 'a b', 'a:b', 'a|b', 'a/b', '$digest', 'é', 'a\n', 'x'.repeat(129), undefined, null, 1, ['a']])(
    'the name %j',
    async (name) => {
      expect(await failure(put(name, VALUE, { scope: 'spend' }))).toMatchObject({
        code: 'invalid-option',
        path: 'name',
      })
    },
  )

  test.each(['', undefined, null, 1, Buffer.from(VALUE), Object(VALUE), `${VALUE}\ud800`])(
    'the value %o, without repeating it',
    async (value) => {
      const error = await failure(put('key', value, { scope: 'spend' }))
      expect(error).toMatchObject({ code: 'invalid-option', path: 'value' })
      expect(error.message).not.toContain(VALUE)
    },
  )

  test.each<[unknown, string]>([
    [undefined, ''],
    [null, ''],
    [['spend'], ''],
    [{}, 'scope'],
    [{ scope: '' }, 'scope'],
    [{ scope: '*' }, 'scope'],
    [{ scope: 'spend:50' }, 'scope'],
    [{ scope: 1 }, 'scope'],
    [{ scope: 'spend', tool: ['charge'] }, 'tool'],
    [{ scope: 'spend', tools: 'charge' }, 'tools'],
    [{ scope: 'spend', tools: [] }, 'tools'],
    [{ scope: 'spend', tools: null }, 'tools'],
    [{ scope: 'spend', tools: ['charge', ''] }, 'tools'],
    [{ scope: 'spend', tools: ['a b'] }, 'tools'],
    [{ scope: 'spend', tools: [1] }, 'tools'],
    [{ scope: 'spend', tenant: '' }, 'tenant'],
    [{ scope: 'spend', tenant: 'a b' }, 'tenant'],
    [{ scope: 'spend', tenant: 'a|b' }, 'tenant'],
    [{ scope: 'spend', tenant: 1 }, 'tenant'],
  ])('the options %o', async (options, path) => {
    const error = await failure(put('key', VALUE, options))
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ path })
    expect(error.message).not.toContain(VALUE)
  })

  test('a vault without a key, naming the option', async () => {
    const fixture = vaultOf({ keys: [] })
    expect(await failure(fixture.vault.put('key', VALUE, { scope: 'spend' }))).toMatchObject({ path: 'vault.keys' })
    expect(fixture.puts).toEqual([])
  })
})

describe('a key provider that fails', () => {
  const never = () => new Promise<Uint8Array>(() => {})
  const broken: Readonly<Record<string, () => unknown>> = {
    throws: () => {
      throw new Error('no such key')
    },
    rejects: () => Promise.reject(new TypeError('fetch failed')),
    hangs: never,
    'answers nothing': () => undefined,
    'answers text': () => 'AAAA',
    'answers an array': () => [1, 2, 3],
    'answers no bytes': () => new Uint8Array(0),
  }

  test.each(Object.keys(broken))(
    'when it %s at a put, nothing is stored or recorded, and the answer comes in time',
    async (how) => {
      const key = { ...keyOf('a'), wrap: broken[how] as KeyProvider['wrap'] }
      const fixture = vaultOf({ keys: [key] })
      const error = await failure(fixture.vault.put('key', VALUE, { scope: 'spend' }), fixture.clock)
      expect(error).toBeInstanceOf(Unavailable)
      expect(error.message).not.toContain(VALUE)
      expect(await fixture.vault.find('default', 'key')).toBeUndefined()
      expect(fixture.puts).toEqual([])
      expect(fixture.clock.timers).toBe(0)
    },
  )

  test.each([...Object.keys(broken), 'answers other bytes'])(
    'when it %s at opening, the secret stays shut, in time',
    async (how) => {
      const whole = vaultOf()
      await whole.vault.put('key', VALUE, { scope: 'spend' })
      const unwrap = (broken[how] ?? (() => randomBytes(32))) as KeyProvider['unwrap']
      const fixture = vaultOf({ keys: [{ ...keyOf('a'), unwrap }] })
      const error = await failure(fixture.vault.open(await stored(whole, 'key')), fixture.clock)
      expect(error).toBeInstanceOf(Unavailable)
      expect(error.message).toBe('the secret could not be unsealed')
      expect(fixture.clock.timers).toBe(0)
    },
  )

  test('not before its time is over', async () => {
    const fixture = vaultOf({ keys: [{ ...keyOf('a'), wrap: never }] })
    let ended = false
    const put = fixture.vault.put('key', VALUE, { scope: 'spend' }).catch(() => {
      ended = true
    })
    await fixture.clock.advance(DEADLINE - 1)
    expect(ended).toBe(false)
    await fixture.clock.advance(1)
    await put
    expect(ended).toBe(true)
  })

  test('a provider that wipes the data key it was given does not make the secret readable, or unreadable', async () => {
    const { id, wrap, unwrap } = keyOf('a')
    const tidy: KeyProvider = {
      id,
      async wrap(dataKey, context) {
        const wrapped = await wrap(dataKey, context)
        dataKey.fill(0)
        return wrapped
      },
      unwrap,
    }
    const fixture = vaultOf({ keys: [tidy] })
    await fixture.vault.put('key', VALUE, { scope: 'spend' })
    expect((await fixture.vault.open(await stored(fixture, 'key'))).toString()).toBe(VALUE)
  })

  test('the data key is wiped after use, also when wrapping failed', async () => {
    const given: Uint8Array[] = []
    const spy = (work: KeyProvider['wrap']): KeyProvider => ({
      ...keyOf('a'),
      wrap(dataKey, context) {
        given.push(dataKey)
        return work(dataKey, context)
      },
    })
    await vaultOf({ keys: [spy(keyOf('a').wrap)] }).vault.put('key', VALUE, { scope: 'spend' })
    await failure(
      vaultOf({ keys: [spy(broken.throws as KeyProvider['wrap'])] }).vault.put('key', VALUE, { scope: 'spend' }),
    )
    expect(given).toHaveLength(2)
    for (const dataKey of given) expect([...dataKey].every((byte) => byte === 0)).toBe(true)
  })
})

describe('a store that fails', () => {
  const { secret } = memoryStore()
  const never = () => new Promise<never>(() => {})
  const fail = () => {
    throw new Error('disk I/O error')
  }

  test.each<[string, Partial<SecretVerbs>]>([
    ['throws when read', { get: fail }],
    ['hangs when read', { get: never }],
    ['rejects when read', { get: () => Promise.reject(new Error('gone')) }],
    ['throws when written', { put: fail }],
    ['hangs when written', { put: never }],
    ['never takes a version', { put: () => false }],
    ['answers nothing to a write', { put: () => undefined as never }],
    ['answers versions that are no numbers', { get: () => ({ version: 'x' }) as never }],
  ])('when it %s, a put ends as unavailable, in time', async (_, verbs) => {
    const fixture = vaultOf({ secrets: { ...secret, get: () => undefined, ...verbs } })
    const error = await failure(fixture.vault.put('key', VALUE, { scope: 'spend' }), fixture.clock)
    expect(error).toBeInstanceOf(Unavailable)
    expect(error.message).not.toContain(VALUE)
  })

  test.each<[string, Partial<SecretVerbs>]>([
    ['throws', { get: fail }],
    ['hangs', { get: never }],
    ['keeps nothing', { get: () => undefined, put: () => true }],
    ['answers a key that is too short', { get: () => plainRow(Buffer.alloc(16)) }],
    ['answers no key', { get: () => ({ ...plainRow(Buffer.alloc(0)) }) }],
    ['answers a row without bytes', { get: () => ({ keyId: 'none', wrapped: '' }) as never }],
    ['answers a row of another key', { get: () => ({ ...plainRow(Buffer.alloc(32)), keyId: 'gone' }) }],
  ])('when it %s, there is no digest key, in time', async (_, verbs) => {
    const fixture = vaultOf({ secrets: { ...secret, ...verbs } })
    expect(await failure(fixture.vault.digestKey('acme'), fixture.clock)).toBeInstanceOf(Unavailable)
  })
})

function plainRow(key: Buffer): SealedSecret {
  const sealed = key.toString('base64')
  return {
    tenant: 'acme',
    name: '$digest',
    version: 1,
    keyId: 'none',
    scope: '',
    tools: [],
    hosts: [],
    wrapped: '',
    sealed,
  }
}

describe('a text at rest in another row', () => {
  test('opens under its own name and tenant alone', async () => {
    const { vault } = vaultOf()
    const sealed = await vault.sealText('acme', 'approval.1', VALUE)
    expect(JSON.stringify(sealed)).not.toContain(Buffer.from(VALUE).toString('base64'))
    expect(await vault.openText('acme', 'approval.1', sealed)).toBe(VALUE)
    expect(await failure(vault.openText('acme', 'approval.2', sealed))).toBeInstanceOf(Unavailable)
    expect(await failure(vault.openText('other', 'approval.1', sealed))).toBeInstanceOf(Unavailable)
    const [byte, ...rest] = sealed.sealed
    const changed = { ...sealed, sealed: [byte === 'A' ? 'B' : 'A', ...rest].join('') }
    expect(await failure(vault.openText('acme', 'approval.1', changed))).toBeInstanceOf(Unavailable)
  })

  test('is only encoded without a key, and not taken for one of ours where there is one', async () => {
    const plain = vaultOf({ keys: [] }).vault
    const text = await plain.sealText('acme', 'approval.1', VALUE)
    expect(await plain.openText('acme', 'approval.1', text)).toBe(VALUE)
    expect(await failure(vaultOf().vault.openText('acme', 'approval.1', text))).toBeInstanceOf(Unavailable)
  })
})

describe('the digest key', () => {
  test('is made once for a store and tenant, sealed, and the same ever after', async () => {
    const fixture = vaultOf()
    const made = await fixture.vault.digestKey('acme')
    expect(made).toMatchObject({ id: 'acme.1', sealed: true })
    expect(made.key).toHaveLength(32)
    expect(made.key.every((byte) => byte === 0)).toBe(false)
    const again = vaultOf({ secrets: fixture.secrets }).vault
    expect(await again.digestKey('acme')).toEqual(made)
    expect((await again.digestKey('other')).key).not.toEqual(made.key)
    const row = await stored(fixture, '$digest', 'acme')
    expect(JSON.stringify(row)).not.toContain(made.key.toString('base64'))
  })

  test.each([
    ['sealed', [keyOf('a')]],
    ['plain', []],
  ])('two vaults that make it at once agree on one (%s)', async (_, keys) => {
    const { secret } = memoryStore()
    const slow: SecretVerbs = {
      ...secret,
      get: async (tenant, name) => secret.get(tenant, name),
      put: async (row) => secret.put(row),
    }
    const vaults = Array.from({ length: 4 }, () => vaultOf({ secrets: slow, keys }).vault)
    const made = await Promise.all(vaults.map((vault) => vault.digestKey('acme')))
    for (const one of made) expect(one).toEqual(made[0])
    expect(made[0]?.sealed).toBe(keys.length > 0)
  })

  test('without a wrapping key it is plain, and says so', async () => {
    const fixture = vaultOf({ keys: [] })
    const made = await fixture.vault.digestKey('acme')
    expect(made).toMatchObject({ id: 'acme.1', sealed: false })
    expect(await vaultOf({ keys: [], secrets: fixture.secrets }).vault.digestKey('acme')).toEqual(made)
  })

  test('a plain one is followed by a sealed one as soon as there is a wrapping key', async () => {
    const fixture = vaultOf({ keys: [] })
    const plain = await fixture.vault.digestKey('acme')
    const sealed = await vaultOf({ secrets: fixture.secrets }).vault.digestKey('acme')
    expect(sealed).toMatchObject({ id: 'acme.2', sealed: true })
    expect(sealed.key.equals(plain.key)).toBe(false)
    expect(await vaultOf({ secrets: fixture.secrets }).vault.digestKey('acme')).toEqual(sealed)
  })

  test('a provider that can not open what it closed locks nobody out', async () => {
    const broken = { ...keyOf('a'), unwrap: () => Buffer.alloc(32) }
    const fixture = vaultOf({ keys: [broken] })
    expect(await failure(fixture.vault.digestKey('acme'))).toBeInstanceOf(Unavailable)
    expect(await vaultOf({ secrets: fixture.secrets }).vault.digestKey('acme')).toMatchObject({ id: 'acme.1' })
  })

  test('a provider named as plain keys are is not mistaken for one', async () => {
    const fixture = vaultOf({ keys: [{ ...keyOf('a'), id: 'none' }] })
    expect(await fixture.vault.digestKey('acme')).toMatchObject({ sealed: true })
  })

  test('does not open for another tenant', async () => {
    const fixture = vaultOf()
    await fixture.vault.digestKey('acme')
    const row = await stored(fixture, '$digest', 'acme')
    await fixture.secrets.put({ ...row, tenant: 'other' })
    expect(await failure(fixture.vault.digestKey('other'))).toBeInstanceOf(Unavailable)
  })
})
