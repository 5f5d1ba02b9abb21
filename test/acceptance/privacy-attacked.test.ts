/** Recorded arguments under attack, and with parts that fail: nothing is told that should not be, nothing runs unrecorded. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir, currentCall, type Entry, governed, type Haldir, type RecordOptions } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { openTrailIndex } from '@haldir/core/trail-index'
import { verifyFiles } from '@haldir/core/verify'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { pendingOf } from './approval-scene.ts'
import { argsOf, keyOf, record, refund, refunder, VALUES, vault } from './privacy-scene.ts'
import { denial, fleet, told } from './scene.ts'

const session = { agent: 'bot', tenant: 'acme', scopes: [] }

describe('a sealed value', () => {
  async function sealed(): Promise<{ haldir: Haldir; first: Entry; second: Entry }> {
    const { haldir, entries } = fleet().house({ vault })
    const pay = refunder(await haldir.createSession(session))
    await pay(refund)
    await pay(refund)
    const [first, second] = entries('intent') as [Entry, Entry]
    return { haldir, first, second }
  }

  const changed = (entry: Entry, args: object): Entry => ({ ...entry, data: { args: { ...argsOf(entry), ...args } } })

  it('opens in its own entry and at its own path alone', async () => {
    proves('args-erased')
    const { haldir, first, second } = await sealed()
    const { sealed: own } = argsOf(first)
    const [name, note] = Object.keys(VALUES) as [string, string]
    const bytes = Buffer.from(own[name], 'base64')
    const flipped = [0, 12, bytes.length - 1].map((at) => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] as number) ^ 1
      return changed(first, { sealed: { ...own, [name]: copy.toString('base64') } })
    })
    const wrong: Entry[] = [
      ...flipped,
      changed(first, { sealed: { [name]: own[note], [note]: own[name] } }),
      changed(first, { sealed: { other: own[name] } }),
      changed(first, { sealed: { [name]: '' } }),
      changed(first, { sealed: { [name]: 7 } }),
      changed(first, { sealed: argsOf(second).sealed }),
      changed(first, { sealKey: 7 }),
      { ...first, call: second.call as string },
      { ...first, tenant: null },
    ]
    for (const entry of wrong) {
      await expect(haldir.trail.reveal(entry)).rejects.toMatchObject({ code: 'tampered' })
    }
    expect((await haldir.trail.reveal(first)).values).toEqual(VALUES)
  })

  it('is not opened by the key of another subject or tenant, whatever the entry says', async () => {
    const { haldir, entries } = fleet().house({ vault })
    await refunder(await haldir.createSession(session))(refund)
    const other = { ...refund, customer: { ...refund.customer, id: 'C-2' } }
    await refunder(await haldir.createSession(session))(other)
    await refunder(await haldir.createSession({ ...session, tenant: 'other' }))(refund)
    const [mine, bobs, theirs] = entries('intent') as [Entry, Entry, Entry]
    for (const { tenant, data } of [bobs, theirs]) {
      const { subject, sealKey } = argsOf({ data } as Entry)
      const entry = { ...changed(mine, { subject, sealKey }), tenant }
      await expect(haldir.trail.reveal(entry)).rejects.toMatchObject({ code: 'tampered' })
    }
  })
})

it('whatever is sealed or fingerprinted stands in no line, comes back as it was, and is gone once erased', async () => {
  proves('args-recorded', 'args-erased')
  const scalar = fc.oneof(
    // Begins with what stands in no line by itself: a part of the name `constructor` would be found in its path.
    fc
      .string({ minLength: 8, maxLength: 60, unit: 'grapheme' })
      .filter((text) => text.isWellFormed())
      .map((text) => `~${text}`),
    fc.integer({ min: 10_000_000 }),
    fc.bigInt({ min: 10n ** 9n, max: 10n ** 30n }),
    fc.date({ noInvalidDate: true }),
  )
  const name = fc.constantFrom('id', 'mail', 'x y', 'list', 'constructor')
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      scalar,
      fc.dictionary(name, tie('any'), { maxKeys: 3 }),
      fc.array(tie('any'), { maxLength: 3 }),
    ),
  })).any
  const { haldir, lines, entries } = fleet().house({ vault })
  const handle = await haldir.createSession({ ...session, ttl: '1d' })
  const both = refunder(handle, { record: { fingerprint: ['a'], seal: ['b', 'a'], subject: 'who' } })

  const scalars = (of: unknown): unknown[] =>
    typeof of === 'object' && of !== null && !(of instanceof Date) ? Object.values(of).flatMap(scalars) : [of]

  await fc.assert(
    fc.asyncProperty(value, value, fc.uuid(), async (a, b, who) => {
      const from = lines.length
      await both({ a, b, who })
      const intent = entries('intent').at(-1) as Entry
      const { erased, values } = await haldir.trail.reveal(intent)
      expect(erased).toBe(false)
      expect(values).toEqual({ a, b })
      for (const one of scalars(a).filter((one) => one !== null)) {
        const fingerprint = await haldir.trail.fingerprint('acme', one as string)
        expect(Object.values(argsOf(intent).fingerprints)).toContain(fingerprint)
      }
      expect((await haldir.trail.erase({ tenant: 'acme', subject: who })).erased).toBe(true)
      expect(await haldir.trail.reveal(intent)).toEqual({ erased: true, values: {} })
      const text = lines.slice(from).join('')
      for (const one of [...scalars(a), ...scalars(b), who]) {
        const plain = one instanceof Date ? one.toISOString() : String(one)
        if (plain.length < 8) continue
        expect(text).not.toContain(plain)
        expect(text).not.toContain(JSON.stringify(plain).slice(1, -1))
        expect(text).not.toContain(Buffer.from(plain).toString('base64').replace(/=+$/, '').slice(0, -1))
      }
    }),
    { numRuns: 60 },
  )
  expect((await haldir.trail.verify()).ok).toBe(true)
})

describe('what is shown', () => {
  it('holds no secret that the session has been given, and placeholders as they are', async () => {
    proves('invariant-7', 'invariant-2')
    const secret = 'HLDR-CANARY-7f3a9c21'
    const { haldir, lines, entries } = fleet().house({ vault })
    await haldir.vault.put('key', secret, { scope: 'read', tenant: 'acme' })
    const handle = await haldir.createSession({ ...session, scopes: ['read'] })
    const got: unknown[] = []
    const all: RecordOptions = { show: 'all', fingerprint: ['hashed'], seal: ['sealed'] }
    const send = governed(
      async (args: object = {}) => {
        got.push(args)
        return currentCall().secret('named').reveal().length
      },
      { name: 'send', scope: 'read', secretArgs: { token: 'key' }, secrets: ['named'], record: all },
      { session: handle },
    )
    await haldir.vault.put('named', `${secret}-2`, { scope: 'read', tenant: 'acme' })
    await send({ token: '{{secret}}', text: 'first' })
    expect(got).toEqual([{ token: secret, text: 'first' }])
    expect(argsOf(entries('intent')[0]).shown).toEqual({ token: '{{secret}}', text: 'first' })
    // A model that has seen it, in whatever way, writes it elsewhere.
    const hex = Buffer.from(secret).toString('hex')
    await send({ text: `see ${secret} or ${hex}`, [`k ${secret}`]: 1, hashed: secret, sealed: { in: [secret] } })
    const [, again] = entries('intent') as [Entry, Entry]
    expect(argsOf(again).shown.text).toBe('see [redacted:key] or [redacted:key]')
    expect((await haldir.trail.reveal(again)).values).toEqual({ sealed: { in: ['[redacted:key]'] } })
    const text = lines.join('')
    for (const form of [secret, hex, 'HLDR-CANARY']) expect(text).not.toContain(form)
  })

  it('holds no credential that a detector has found, and nothing of what could not be searched', async () => {
    proves('credentials-found')
    let failing = false
    const credentials = {
      name: 'test',
      find(text: string) {
        if (failing) throw new Error('down')
        return [...text.matchAll(/ghp_\d{6}/g)].map(({ index }) => ({ start: index, end: index + 10, kind: 'github' }))
      },
    }
    const { haldir, lines, entries } = fleet().house({ vault, detect: { credentials, arguments: 'flag' } })
    const all: RecordOptions = { show: 'all', fingerprint: ['f'], seal: ['s'] }
    const send = refunder(await haldir.createSession(session), { record: all })
    await send({ a: 'with ghp_123456', f: 'ghp_123456', s: 'ghp_123456', n: 5 })
    const [found] = entries('intent') as [Entry]
    expect(argsOf(found).shown).toEqual({ a: 'with [redacted:github]', n: 5 })
    expect(argsOf(found).fingerprints).toEqual({ f: await haldir.trail.fingerprint('acme', 'ghp_123456') })
    expect((await haldir.trail.reveal(found)).values).toEqual({ s: '[redacted:github]' })
    await send({ a: 'x', f: { ghp_654321: 1, known: 2 } })
    const inName = argsOf(entries('intent').at(-1)).fingerprints
    expect(Object.keys(inName)).toEqual(['f["[redacted:github]"]', 'f.known'])
    expect(lines.join('')).not.toContain('ghp_')
    failing = true
    await send({ a: 'with ghp_123456', f: 'x' })
    const blind = entries('intent').at(-1) as Entry
    expect(blind.data).toMatchObject({ unscanned: 'failed' })
    expect(Object.keys(argsOf(blind))).toEqual(['fingerprints', 'fingerprintKey'])
    await send({ f: { ghp_654321: 1 } })
    expect(Object.keys(argsOf(entries('intent').at(-1)).fingerprints)).toEqual(['f["?"]'])
    expect(lines.join('')).not.toContain('ghp_')
  })

  it('obeys nobody in a terminal: what acts or hides there stands as an escape, and is read back as it was', async () => {
    const { haldir, lines, entries } = fleet().house({ vault })
    const text = 'a\u001b[31mb\u202ec\u200bd\u2066e\u{e0041}f\u2028g\u0085h'
    await refunder(await haldir.createSession(session), { record: { show: ['t'] } })({ t: text })
    expect(argsOf(entries('intent')[0]).shown).toEqual({ t: text })
    expect(lines.join('').replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/)
    expect((await haldir.trail.verify()).ok).toBe(true)
  })

  it('fits in what collectors take, whatever a model sends', async () => {
    const { haldir, lines } = fleet().house({ vault })
    const wide = (text: string) => Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`k${at}`, text]))
    const everything: RecordOptions = { show: 'all', fingerprint: ['f'], seal: ['s'], subject: 'who' }
    const send = refunder(await haldir.createSession(session), { record: everything })
    await send({ ...wide('é'.repeat(500)), f: wide('x'), s: 'y'.repeat(8_000), who: 'z'.repeat(100_000) })
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(32_768)
  })
})

describe('when a part fails', () => {
  it('a key that can’t be had refuses the call: nothing runs that is not recorded as it should be', async () => {
    proves('invariant-1', 'invariant-6')
    let down = false
    const { haldir, entries } = fleet().house({ vault }, (store) => ({
      secret: {
        ...store.secret,
        put: (row, after) => {
          if (down && row.name.startsWith('$subject')) throw new Error('down')
          return store.secret.put(row, after)
        },
      },
    }))
    const handle = await haldir.createSession({ ...session, scopes: ['spend:50'] })
    const ran: object[] = []
    const pay = refunder(handle, {}, (args) => ran.push(args))
    down = true
    const refused = await denial(pay(refund))
    expect(refused.code).toBe('unavailable')
    expect(refused.message).not.toContain('C-77001')
    expect([ran, entries('intent')]).toEqual([[], []])
    expect(entries('refusal')).toMatchObject([{ code: 'unavailable' }])
    expect(haldir.health().faults.map(({ part }) => part)).toEqual(['store.secret.put', 'record'])
    down = false
    await pay(refund)
    expect(ran).toEqual([refund])
  })

  it('in shadow mode it runs, and the entry says that something is missing', async () => {
    proves('shadow-broken-parts')
    const { haldir, entries } = fleet().house({ vault, mode: 'shadow' }, (store) => ({
      secret: {
        ...store.secret,
        put: (row, after) => !row.name.startsWith('$subject') && store.secret.put(row, after),
      },
    }))
    const ran: object[] = []
    await refunder(await haldir.createSession(session), {}, (args) => ran.push(args))(refund)
    expect(ran).toEqual([refund])
    expect(entries('intent').map(argsOf)).toEqual([{ omitted: 7 }])
  })

  it('a subject that can’t be told refuses, one that is not named leaves out what is sealed', async () => {
    const { haldir, entries } = fleet().house({ vault })
    const handle = await haldir.createSession(session)
    const by = (subject: NonNullable<RecordOptions['subject']>) => refunder(handle, { record: { ...record, subject } })
    const fails = () => {
      throw new Error('no')
    }
    expect(await told(by(fails)(refund))).toBe('invalid-arguments')
    expect(await told(by((() => ({})) as never)(refund))).toBe('unavailable')
    expect(await told(by((() => Promise.resolve('x')) as never)(refund))).toBe('unavailable')
    expect(entries('intent')).toEqual([])
    for (const subject of ['customer.phone', 'customer', () => undefined, () => '']) {
      expect(await told(by(subject)(refund))).toBe('done')
      const args = argsOf(entries('intent').at(-1))
      expect(args).toMatchObject({ shown: { amount: 29.5 }, omitted: 2 })
      for (const member of ['sealed', 'sealKey', 'subject']) expect(args).not.toHaveProperty(member)
    }
  })

  it('an erasure that the trail or the store does not take has not happened, and can be done again', async () => {
    let [deaf, stuck] = [false, false]
    const sink = memorySink()
    const { haldir } = fleet().house(
      {
        vault,
        sinks: [
          {
            ...sink,
            write(lines) {
              if (deaf) throw new Error('down')
              return sink.write(lines)
            },
          },
        ],
      },
      (store) => ({
        secret: { ...store.secret, delete: (tenant, name) => !stuck && store.secret.delete(tenant, name) },
      }),
    )
    await refunder(await haldir.createSession(session))(refund)
    const [intent] = await Array.fromAsync(haldir.trail.query({ type: 'intent' }))
    const of = { tenant: 'acme', subject: 'C-77001' }
    for (const part of ['trail', 'store']) {
      deaf = part === 'trail'
      stuck = part === 'store'
      await expect(haldir.trail.erase(of)).rejects.toMatchObject({ code: 'unavailable' })
      expect((await haldir.trail.reveal(intent as Entry)).erased).toBe(false)
    }
    deaf = stuck = false
    expect((await haldir.trail.erase(of)).erased).toBe(true)
    expect((await haldir.trail.reveal(intent as Entry)).erased).toBe(true)
  })
})

describe('at the same time', () => {
  it('calls and erasures leave nothing that a key is left for but what came after', async () => {
    proves('args-erased')
    const world = fleet('sqlite')
    const houses = [world.house({ vault }), world.house({ vault })]
    const calls = await Promise.all(
      houses.map(async ({ haldir }) => refunder(await haldir.createSession({ ...session, ttl: '1d' }))),
    )
    for (let round = 0; round < 10; round++) {
      const erasing = houses.map(({ haldir }) => haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' }))
      await Promise.all([...calls.flatMap((call) => [call(refund), call(refund)]), ...erasing])
    }
    await houses[0]?.haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })
    for (const { haldir, entries } of houses) {
      expect(entries('intent')).toHaveLength(20)
      for (const entry of entries('intent')) expect((await haldir.trail.reveal(entry)).erased).toBe(true)
      expect((await haldir.trail.verify()).problems.filter(({ kind }) => kind !== 'missing-writer')).toEqual([])
    }
  })

  it.each(['before', 'after'])(
    'a tenant is erased %s a new subject gets its key: it can be erased by its id later',
    async (when) => {
      proves('args-erased')
      const world = fleet()
      const other = world.house({ vault }).haldir
      let erasing = false
      const { haldir, entries } = world.house({ vault }, ({ secret }) => ({
        secret: {
          ...secret,
          async put(row, after) {
            if (!erasing || !row.name.startsWith('$subject.')) return secret.put(row, after)
            erasing = false
            const made = when === 'after' && (await secret.put(row, after))
            await other.trail.erase({ tenant: 'acme' })
            return made || secret.put(row, after)
          },
        },
      }))
      const call = refunder(await haldir.createSession(session))
      await call({ ...refund, customer: { ...refund.customer, id: 'C-1' } })
      erasing = true
      await call(refund)
      expect(erasing).toBe(false)
      const sealed = entries('intent').at(-1) as Entry
      await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })
      expect((await haldir.trail.reveal(sealed)).erased).toBe(true)
    },
  )

  it('a call whose tenant is erased again and again is refused in the end', async () => {
    proves('args-erased')
    const world = fleet()
    const other = world.house({ vault }).haldir
    const { haldir, entries } = world.house({ vault }, ({ secret }) => ({
      secret: {
        ...secret,
        async put(row, after) {
          if (row.name.startsWith('$subject.')) await other.trail.erase({ tenant: 'acme' })
          return secret.put(row, after)
        },
      },
    }))
    expect((await denial(refunder(await haldir.createSession(session))(refund))).code).toBe('unavailable')
    expect(entries('intent')).toEqual([])
  })

  it('a new subject that gets its key while its tenant is erased is not left out', async () => {
    proves('args-erased')
    const world = fleet()
    const house = world.house({ vault })
    const call = refunder(await house.haldir.createSession(session))
    await call({ ...refund, customer: { ...refund.customer, id: 'C-1' } })
    let once = true
    const { haldir } = world.house({ vault }, ({ secret }) => ({
      secret: {
        ...secret,
        async delete(tenant, name) {
          if (once) await call(refund)
          once = false
          return secret.delete(tenant, name)
        },
      },
    }))
    await haldir.trail.erase({ tenant: 'acme' })
    const sealed = house.entries('intent').at(-1) as Entry
    await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' })
    expect((await haldir.trail.reveal(sealed)).erased).toBe(true)
  })

  it('another operating-system process reads what this one sealed, and erases it for both', async () => {
    proves('args-erased')
    const folder = mkdtempSync(join(tmpdir(), 'haldir-privacy-'))
    const store = join(folder, 'haldir.db')
    const haldir = createHaldir({ vault, store: sqliteStore(store), sinks: [fileSink(join(folder, 'audit'))] })
    try {
      await refunder(await haldir.createSession(session))(refund)
      const [intent] = (await Array.fromAsync(haldir.trail.query({ type: 'intent' }))) as [Entry]
      const key = Buffer.alloc(32, 7).toString('base64')
      const flags = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning']
      const program = join(import.meta.dirname, 'privacy-process.ts')
      const child = spawnSync(process.execPath, [...flags, program, folder], {
        input: JSON.stringify(intent),
        env: { ...process.env, KEY: key },
        encoding: 'utf8',
      })
      expect(child.stderr).toBe('')
      expect(JSON.parse(child.stdout)).toEqual([
        { erased: false, values: VALUES },
        { erased: true, keys: [argsOf(intent).sealKey] },
        { erased: true, values: {} },
      ])
      expect(await haldir.trail.reveal(intent)).toEqual({ erased: true, values: {} })
      // The index of the files finds what the files have.
      const index = openTrailIndex({ directory: join(folder, 'audit'), database: join(folder, 'index.db') })
      await index.refresh()
      for (const [value, types] of [
        ['ada@example.com', ['intent']],
        ['C-77001', ['intent', 'erasure']],
        ['bob@example.com', []],
      ] as const) {
        const fingerprint = await haldir.trail.fingerprint('acme', value)
        for (const asked of [index, haldir.trail]) {
          const found = await Array.fromAsync(asked.query({ fingerprint }))
          expect(found.map(({ type }) => type)).toEqual(types)
        }
      }
      // Text that stands elsewhere in a line is no fingerprint.
      expect(await Array.fromAsync(index.query({ fingerprint: intent.hash }))).toEqual([])
      index.close()
      await haldir.close()
      expect(await verifyFiles(join(folder, 'audit'))).toMatchObject({ ok: true })
    } finally {
      await haldir.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

it('of arguments that an approver has changed, the changed ones are recorded', async () => {
  proves('invariant-2', 'args-recorded')
  const rules = [{ id: 'all', then: 'ask' as const }]
  const { haldir, entries } = fleet().house({ vault, policy: { default: 'deny', rules }, approvals: { mode: 'wait' } })
  const ran: object[] = []
  const call = refunder(await haldir.createSession(session), {}, (args) => ran.push(args))(refund)
  const { id } = await pendingOf(haldir)
  const changed = { ...refund, amount: 5, customer: { ...refund.customer, name: 'Grace Hopper' } }
  await haldir.approvals.decide(id, { approve: true, by: 'alice', args: changed })
  expect(await call).toBe('done')
  expect(ran).toEqual([changed])
  const [intent, ...others] = entries('intent') as [Entry]
  expect(others).toEqual([])
  expect(argsOf(intent).shown).toMatchObject({ amount: 5 })
  expect((await haldir.trail.reveal(intent)).values).toMatchObject({ 'customer.name': 'Grace Hopper' })

  const refused = told(refunder(await haldir.createSession(session))(refund))
  await haldir.approvals.decide((await pendingOf(haldir)).id, { approve: false, by: 'alice' })
  expect(await refused).toBe('approval-denied')
  expect(argsOf(entries('refusal')[0]).shown).toMatchObject({ amount: 29.5 })
})

it('another key of the vault is of no use', async () => {
  const world = fleet()
  const { haldir, entries } = world.house({ vault })
  await refunder(await haldir.createSession(session))(refund)
  const stranger = world.house({ vault: { keys: [keyOf(9)] } }).haldir
  await expect(stranger.trail.reveal(entries('intent')[0] as Entry)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(stranger.trail.fingerprint('acme', 'x')).rejects.toMatchObject({ code: 'unavailable' })
})
