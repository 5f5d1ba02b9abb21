/** What the trail holds of arguments, through `createHaldir`: shown, found by value, opened, erased. */
import type { Entry } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { argsOf, keyOf, record, refund, refunder, VALUES, vault } from './privacy-scene.ts'
import { fleet, misuse, STORES, told } from './scene.ts'

const session = { agent: 'bot', tenant: 'acme', scopes: [] }

describe.each(STORES)('with a %s store', (kind) => {
  it('records what is named as it is named, and nothing else', async () => {
    proves('args-recorded', 'args-found')
    const { haldir, lines, entries } = fleet(kind).house({ vault })
    const ran: object[] = []
    await refunder(await haldir.createSession(session), {}, (args) => ran.push(args))(refund)
    expect(ran).toEqual([refund])
    const [intent] = entries('intent')
    expect(intent?.data).toEqual({
      args: {
        shown: { amount: 29.5, 'order.id': 'A1', 'order.lines[0].sku': 'S-1', 'order.lines[1].sku': 'S-2' },
        fingerprints: { 'customer.email': await haldir.trail.fingerprint('acme', 'ada@example.com') },
        sealed: { 'customer.name': expect.any(String), 'order.lines[0].note': expect.any(String) },
        subject: await haldir.trail.fingerprint('acme', 'C-77001'),
        fingerprintKey: 'acme.1',
        sealKey: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
    })
    const text = lines.join('')
    for (const hidden of ['ada@', 'Ada', 'Lovelace', 'C-77001', 'leave at']) expect(text).not.toContain(hidden)
    expect(await haldir.trail.reveal(intent as Entry)).toEqual({ erased: false, values: VALUES })
    expect((await haldir.trail.verify()).ok).toBe(true)
  })

  it('finds by a known value every entry that holds it, and by an id those of that subject', async () => {
    proves('args-found')
    const { haldir } = fleet(kind).house({ vault })
    const pay = refunder(await haldir.createSession(session))
    const mail = refunder(await haldir.createSession(session), { record: { fingerprint: ['to', 'n'] } })
    await pay(refund)
    await mail({ to: ['bob@example.com', 'ada@example.com'], n: 4_111 })
    await mail({ to: ['bob@example.com'], n: '4111' })
    const found = async (value: string | number, tenant = 'acme') => {
      const fingerprint = await haldir.trail.fingerprint(tenant, value)
      return (await Array.fromAsync(haldir.trail.query({ fingerprint }))).map(({ seq }) => seq)
    }
    const [first, second, third] = (await Array.fromAsync(haldir.trail.query({ type: 'intent' }))).map(({ seq }) => seq)
    expect(await found('ada@example.com')).toEqual([first, second])
    expect(await found('bob@example.com')).toEqual([second, third])
    expect(await found(4_111)).toEqual([second, third])
    expect(await found('C-77001')).toEqual([first])
    expect(await found('carl@example.com')).toEqual([])
    // Another tenant's key tells nothing of this one's entries.
    expect(await found('ada@example.com', 'other')).toEqual([])
    expect((await misuse(() => Array.fromAsync(haldir.trail.query({ fingerprint: 'ada' })))).path).toBe('fingerprint')
  })

  it('erases a subject for all processes, and leaves the chain as it is', async () => {
    proves('args-erased', 'trail-immutable')
    const world = fleet(kind)
    const [here, there] = [world.house({ vault }), world.house({ vault })]
    const pay = refunder(await here.haldir.createSession(session))
    const other = { ...refund, customer: { ...refund.customer, id: 'C-2', name: 'Bob' } }
    await pay(refund)
    await pay(other)
    const elsewhere = refunder(await there.haldir.createSession(session))
    await elsewhere(refund)
    const [mine, bobs] = here.entries('intent') as [Entry, Entry]
    const [theirs] = there.entries('intent') as [Entry]
    expect(argsOf(theirs).sealKey).toBe(argsOf(mine).sealKey)
    expect(argsOf(bobs).sealKey).not.toBe(argsOf(mine).sealKey)
    // Each opens what the other has sealed.
    expect((await here.haldir.trail.reveal(theirs)).values).toEqual(VALUES)
    expect((await there.haldir.trail.reveal(mine)).values).toEqual(VALUES)

    const { sealKey, subject } = argsOf(mine)
    expect(await there.haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })).toEqual({
      erased: true,
      keys: [sealKey],
    })
    for (const { haldir } of [here, there]) {
      for (const entry of [mine, theirs]) {
        expect(await haldir.trail.reveal(entry)).toEqual({ erased: true, values: {} })
      }
      expect((await haldir.trail.reveal(bobs)).values).toMatchObject({ 'customer.name': 'Bob' })
      expect((await haldir.trail.verify()).problems.filter(({ kind }) => kind !== 'missing-writer')).toEqual([])
    }
    const [erasure] = there.entries('erasure')
    expect(erasure?.data).toEqual({ subject, fingerprintKey: 'acme.1', keys: [sealKey] })
    expect([erasure?.tenant, erasure?.session]).toEqual(['acme', null])
    expect([...here.lines, ...there.lines].join('')).not.toContain('C-77001')
    if (kind === 'sqlite') expect(world.bytes()).not.toContain('C-77001')

    const mentioned = await Array.fromAsync(there.haldir.trail.query({ fingerprint: subject }))
    expect(mentioned.map(({ type }) => type)).toEqual(['intent', 'erasure'])

    // What comes after has a key of its own, in every process.
    await pay(refund)
    await elsewhere(refund)
    const [, , again] = here.entries('intent') as [Entry, Entry, Entry]
    const [, alsoAgain] = there.entries('intent') as [Entry, Entry]
    expect(argsOf(again).sealKey).not.toBe(sealKey)
    expect(argsOf(alsoAgain).sealKey).toBe(argsOf(again).sealKey)
    expect((await there.haldir.trail.reveal(again)).values).toEqual(VALUES)
    expect((await there.haldir.trail.reveal(mine)).erased).toBe(true)
    // The subject is still found by its id: fingerprints are the tenant's.
    expect(argsOf(again).subject).toBe(subject)
  })

  it('says when there is nothing to erase, and records nothing', async () => {
    const { haldir, entries } = fleet(kind).house({ vault })
    const nothing = { erased: false, keys: [] }
    expect(await haldir.trail.erase({ tenant: 'nobody' })).toEqual(nothing)
    await refunder(await haldir.createSession(session))(refund)
    expect(await haldir.trail.erase({ tenant: 'acme', subject: 'C-2' })).toEqual(nothing)
    expect(await haldir.trail.erase({ tenant: 'other', subject: 'C-77001' })).toEqual(nothing)
    expect(entries('erasure')).toEqual([])
    expect((await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })).erased).toBe(true)
    expect(await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })).toEqual(nothing)
    expect(entries('erasure')).toHaveLength(1)
  })

  it('erases a whole tenant: digests, fingerprints, everything sealed', async () => {
    proves('args-erased')
    const world = fleet(kind)
    const { haldir, entries } = world.house({ vault })
    const elsewhere = world.house({ vault }).haldir
    const theirs = refunder(await haldir.createSession({ ...session, tenant: 'other' }))
    await theirs(refund)
    const sealAlone = { record: { seal: ['order'] } }
    await refunder(await haldir.createSession(session))(refund)
    await refunder(await haldir.createSession(session), sealAlone)(refund)
    const [others, named, unnamed] = entries('intent') as [Entry, Entry, Entry]
    expect(argsOf(unnamed).subject).toBeUndefined()
    expect((await haldir.trail.reveal(unnamed)).values).toEqual({ order: refund.order })
    const before = await haldir.trail.fingerprint('acme', 'ada@example.com')
    expect(await elsewhere.trail.fingerprint('acme', 'ada@example.com')).toBe(before)

    const erased = await haldir.trail.erase({ tenant: 'acme' })
    expect(erased.keys).toHaveLength(4)
    expect(erased.keys).toEqual(expect.arrayContaining([argsOf(named).sealKey, argsOf(unnamed).sealKey]))
    expect(entries('erasure').map(({ data }) => data)).toEqual([{ of: 'tenant', keys: 4 }])
    for (const entry of [named, unnamed]) expect((await elsewhere.trail.reveal(entry)).erased).toBe(true)
    expect((await elsewhere.trail.reveal(others)).values).toEqual(VALUES)
    const after = await haldir.trail.fingerprint('acme', 'ada@example.com')
    expect(after).not.toBe(before)

    // Other processes go on by the old one for a minute at most.
    expect(await elsewhere.trail.fingerprint('acme', 'ada@example.com')).toBe(before)
    await world.clock.advance(60_000)
    expect(await elsewhere.trail.fingerprint('acme', 'ada@example.com')).toBe(after)

    await refunder(await haldir.createSession(session))(refund)
    const fresh = entries('intent').at(-1) as Entry
    expect(fresh.digestKey).not.toBe(named.digestKey)
    expect(fresh.digest).not.toBe(named.digest)
    expect(argsOf(fresh).fingerprintKey).not.toBe(argsOf(named).fingerprintKey)
    expect((await haldir.trail.verify()).problems.filter(({ kind }) => kind !== 'missing-writer')).toEqual([])
  })

  it('erases what another process seals right after a tenant was erased, by a key that it did not know of', async () => {
    proves('args-erased')
    const world = fleet(kind)
    const [here, there] = [world.house({ vault }), world.house({ vault })]
    const elsewhere = refunder(await there.haldir.createSession(session))
    await elsewhere(refund)
    await here.haldir.trail.erase({ tenant: 'acme' })
    await elsewhere(refund)
    const [, later] = there.entries('intent') as [Entry, Entry]
    expect((await here.haldir.trail.reveal(later)).values).toEqual(VALUES)
    expect((await here.haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })).erased).toBe(true)
    expect((await there.haldir.trail.reveal(later)).erased).toBe(true)
  })

  it('stays readable when the vault key is rotated, and can then be erased', async () => {
    const world = fleet(kind)
    const { haldir, entries } = world.house({ vault })
    await refunder(await haldir.createSession(session))(refund)
    const [intent] = entries('intent') as [Entry]
    const fingerprint = await haldir.trail.fingerprint('acme', 'ada@example.com')
    const rotating = world.house({ vault: { keys: [keyOf(8), keyOf(7)] } }).haldir
    // The keys of digests, of fingerprints and of one subject.
    expect(await rotating.vault.rewrap()).toEqual({ rewrapped: 3, left: 0 })
    const later = world.house({ vault: { keys: [keyOf(8)] } }).haldir
    expect(await later.trail.fingerprint('acme', 'ada@example.com')).toBe(fingerprint)
    expect((await later.trail.reveal(intent)).values).toEqual(VALUES)
    await expect(haldir.trail.reveal(intent)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await later.vault.list({ tenant: 'acme' })).toEqual([])
    expect((await later.trail.erase({ tenant: 'acme', subject: 'C-77001' })).erased).toBe(true)
    expect((await later.trail.reveal(intent)).erased).toBe(true)
  })

  it('works without a vault key, and says that the keys lie open', async () => {
    const world = fleet(kind)
    const { haldir, entries } = world.house()
    await refunder(await haldir.createSession(session))(refund)
    expect(haldir.health().warnings).toContain('keys of recorded arguments are stored unsealed: set `vault.keys`')
    const [intent] = entries('intent') as [Entry]
    expect((await haldir.trail.reveal(intent)).values).toEqual(VALUES)
    const alone = world.house().haldir
    await refunder(await alone.createSession(session), { record: { seal: ['order'] } })(refund)
    expect(alone.health().warnings).toContain('keys of recorded arguments are stored unsealed: set `vault.keys`')
    // With one, what was sealed before is read, and erased, still.
    const guarded = world.house({ vault })
    await refunder(await guarded.haldir.createSession(session))(refund)
    const [later] = guarded.entries('intent') as [Entry]
    expect(argsOf(later)).not.toMatchObject({ subject: argsOf(intent).subject })
    expect((await guarded.haldir.trail.reveal(intent)).values).toEqual(VALUES)
    const { keys } = await guarded.haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })
    expect(keys.toSorted()).toEqual([argsOf(intent).sealKey, argsOf(later).sealKey].toSorted())
    for (const entry of [intent, later]) expect((await guarded.haldir.trail.reveal(entry)).erased).toBe(true)
    expect(guarded.haldir.health().warnings).toEqual([])
  })
})

describe('a refused call', () => {
  it('shows what was refused, and makes no key', async () => {
    proves('args-recorded')
    const { haldir, entries, store } = fleet().house({ vault })
    const pay = refunder(await haldir.createSession(session), { scope: 'admin' })
    expect(await told(pay(refund))).toBe('scope-missing')
    const [refusal] = entries('refusal')
    const args = argsOf(refusal)
    expect(args).toMatchObject({ shown: { amount: 29.5 }, omitted: 2 })
    expect(args.subject).toBe(await haldir.trail.fingerprint('acme', 'C-77001'))
    expect(args).not.toHaveProperty('sealed')
    const names = (await store.secret.list('acme')).map(({ name }) => name)
    expect(names.sort()).toEqual(['$digest', '$fingerprint'])
  })

  it.each<[string, object]>([
    ['what is no plain data', { amount: () => 1 }],
    ['what is too large', { amount: 'x'.repeat(1_100_000) }],
  ])('says nothing of %s', async (_, args) => {
    const { haldir, entries } = fleet().house({ vault })
    const pay = refunder(await haldir.createSession(session), { record: { show: 'all' } })
    expect(await told(pay(args))).toBe('invalid-arguments')
    expect(entries('refusal').map(({ data }) => Object.keys(data))).toEqual([['reason']])
  })

  it('says nothing of what stands where a secret goes', async () => {
    const { haldir, entries } = fleet().house({ vault })
    const options = { secretArgs: { token: 'key' }, record: { show: 'all' as const } }
    const pay = refunder(await haldir.createSession(session), options)
    expect(await told(pay({ token: 'sk_made_up' }))).toBe('invalid-arguments')
    expect(entries('refusal').map(({ data }) => Object.keys(data))).toEqual([['reason']])
  })
})

describe('erasing and finding', () => {
  it.each<[object, string]>([
    [{}, 'tenant'],
    [{ subject: 'x' }, 'tenant'],
    [{ tenant: 'a b' }, 'tenant'],
    [{ tenant: 'acme', subject: undefined }, 'subject'],
    [{ tenant: 'acme', subject: '' }, 'subject'],
    [{ tenant: 'acme', subject: null }, 'subject'],
    [{ tenant: 'acme', subjects: 'x' }, 'subjects'],
  ])('takes no %j', async (of, path) => {
    const { haldir, entries } = fleet().house({ vault })
    await refunder(await haldir.createSession(session))(refund)
    expect((await misuse(() => haldir.trail.erase(of as never))).path).toBe(path)
    expect(entries('erasure')).toEqual([])
    const [intent] = entries('intent') as [Entry]
    expect((await haldir.trail.reveal(intent)).erased).toBe(false)
  })

  it('takes ids that are numbers as calls name them', async () => {
    const { haldir, entries } = fleet().house({ vault })
    const bySubject = { ...record, subject: ({ customer }: typeof refund) => Number(customer.id.slice(2)) }
    await refunder(await haldir.createSession(session), { record: bySubject })(refund)
    const [intent] = entries('intent') as [Entry]
    expect(argsOf(intent).subject).toBe(await haldir.trail.fingerprint('acme', '77001'))
    expect((await haldir.trail.erase({ tenant: 'acme', subject: 77_001 })).erased).toBe(true)
    expect((await haldir.trail.reveal(intent)).erased).toBe(true)
    expect((await misuse(() => haldir.trail.fingerprint('acme', {} as never))).path).toBe('value')
    expect((await misuse(() => haldir.trail.fingerprint('', 'x'))).path).toBe('tenant')
  })

  it('opens nothing where nothing is sealed', async () => {
    const { haldir, entries } = fleet().house({ vault })
    await refunder(await haldir.createSession(session), { record: { show: ['amount'] } })(refund)
    for (const entry of entries()) expect(await haldir.trail.reveal(entry)).toEqual({ erased: false, values: {} })
  })
})
