/** Signals of agents at work: a loop of a real framework, functions, and haldirs that share a store. */
import { governed as governedTools } from '@haldir/ai-sdk'
import {
  type Approval,
  type Approver,
  createHaldir,
  Denied,
  type Entry,
  governed,
  type HaldirOptions,
  usd,
} from '@haldir/core'
import { spendAhead } from '@haldir/core/adapter'
import type { Notice, Notifier } from '@haldir/core/signals'
import { memorySink } from '@haldir/core/sinks/memory'
import { fakeClock } from '@haldir/testing'
import { generateText, stepCountIs, tool } from 'ai'
import { MockLanguageModelV3 } from 'ai/test'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { proves } from '../promises.ts'
import { denial, fleet, type House, misuse, payer, reader, STORES, told, turns } from './scene.ts'

const SUSPEND: HaldirOptions['signals'] = { react: { loop: ['suspend'] } }

/** Who is told, and of what. */
function listener(): Notifier & { readonly heard: Notice[] } {
  const heard: Notice[] = []
  return { name: 'listener', heard, notify: (notice) => void heard.push(notice) }
}

function open(house: House, agent = 'bot') {
  return house.haldir.createSession({ agent, tenant: 'acme', scopes: ['read', 'spend:500'], ttl: '1h' })
}

const signalsOf = (house: House): Entry[] => house.entries('signal')

describe.each(STORES)('a looping agent, on the %s store', (kind) => {
  it('is suspended in every process on the store, with what it has delegated, until it is released', async () => {
    proves('signals-raised', 'suspend-everywhere')
    const ships = fleet(kind)
    const here = ships.house({ signals: SUSPEND })
    const there = ships.house()
    const session = await open(here)
    const child = await session.delegate({ agent: 'helper', scopes: ['read'], ttl: '5m' })
    const elsewhere = await there.haldir.attach(session.token)
    const childElsewhere = await there.haldir.attach(child.token)
    const read = reader(session)
    for (let turn = 0; turn < 8; turn++) expect(await told(read({ id: 7 }))).toBe('ran')
    await here.haldir.flush()
    for (const one of [session, elsewhere, child, childElsewhere]) {
      const refused = await denial(reader(one)({ other: one === child }))
      expect(refused).toMatchObject({ code: 'policy-denied', rule: 'signal:loop', retryable: false })
      expect(refused.message).toContain('suspended until somebody releases it')
    }
    // What was not in the loop goes on.
    expect(await told(reader(await open(here, 'other'))({ id: 7 }))).toBe('ran')
    const [raised, ...more] = signalsOf(here)
    expect(more).toEqual([])
    expect(raised).toMatchObject({
      type: 'signal',
      rule: 'signal:loop',
      agent: 'bot',
      session: session.id,
      tool: 'read',
      data: { signal: 'loop', severity: 'medium', kind: '1', value: 8, threshold: 8, reactions: ['record', 'suspend'] },
    })
    expect(JSON.stringify(raised)).not.toContain('"id":7')
    // It stands behind the call that raised it, in a chain that is whole.
    expect(here.entries().find(({ type, call }) => type === 'intent' && call === raised?.call)?.seq).toBeLessThan(
      raised?.seq as number,
    )
    const { problems } = await here.haldir.trail.verify()
    // The other process writes to a sink of its own.
    expect(problems.filter(({ kind }) => kind !== 'missing-writer')).toEqual([])
    expect(await there.haldir.signals.release(child.id)).toBe(false)
    expect(await there.haldir.signals.release(session.id)).toBe(true)
    expect(signalsOf(there)).toMatchObject([{ session: session.id, rule: 'signal:loop', data: { released: true } }])
    for (const one of [session, elsewhere, child, childElsewhere])
      expect(await told(reader(one)({ on: 1 }))).toBe('ran')
    expect(await there.haldir.signals.release(session.id)).toBe(false)
  })

  it('that was released and goes on looping is suspended again', async () => {
    const ships = fleet(kind)
    const here = ships.house({ signals: SUSPEND })
    const read = reader(await open(here))
    const loop = async () => {
      for (let turn = 0; turn < 8; turn++) await told(read({ id: 7 }))
      await here.haldir.flush()
      return told(read({ id: 7 }))
    }
    expect(await loop()).toBe('policy-denied')
    expect(await here.haldir.signals.release(here.haldir.signals.list()[0]?.session as string)).toBe(true)
    expect(await told(read({ id: 7 }))).toBe('ran')
    expect(await loop()).toBe('policy-denied')
    expect(signalsOf(here).filter(({ data }) => data.signal === 'loop')).toHaveLength(2)
  })

  it('what a suspended session holds back: reserved payments wait, approvals are not asked for, running calls end', async () => {
    const ships = fleet(kind)
    const here = ships.house({ signals: SUSPEND, approvals: {} })
    const session = await open(here)
    const authorized = await here.haldir.payments.authorize(session, { amount: usd(5), description: 'a book' })
    const voided = await here.haldir.payments.authorize(session, { amount: usd(5), description: 'another' })
    let end = () => {}
    const slow = governed(
      () => new Promise<string>((resolve) => (end = () => resolve('ended'))),
      { name: 'slow', scope: 'read' },
      { session },
    )
    const running = slow()
    await turns()
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    await here.haldir.flush()
    expect((await denial(authorized.capture())).code).toBe('policy-denied')
    await voided.void()
    expect(voided.status).toBe('voided')
    expect(session.signal.aborted).toBe(false)
    end()
    expect(await running).toBe('ended')
    expect(await here.haldir.signals.release(session.id)).toBe(true)
    await authorized.capture()
    expect(authorized.status).toBe('captured')
  })
})

describe('asking', () => {
  const asking = (forAgent = false): HaldirOptions => ({
    signals: {
      react: { loop: ['ask'], 'first-use': ['ask'] },
      detectors: { 'first-use': forAgent ? { learn: 1, calls: 0, novelty: 1 } : false },
      askFor: '10m',
    },
  })

  it('the next calls of a looping agent need a person, by the rule of the signal, for as long as is said', async () => {
    proves('signals-ask')
    const ships = fleet()
    const asked: Approval[] = []
    const desk: Approver = { name: 'desk', show: (approval) => void asked.push(approval) }
    const here = ships.house({ ...asking(), approvers: [desk] })
    const session = await open(here)
    const child = await session.delegate({ agent: 'helper', scopes: ['read'], ttl: '5m' })
    for (let turn = 0; turn < 8; turn++) expect(await told(reader(session)({ id: 7 }))).toBe('ran')
    await here.haldir.flush()
    for (const one of [session, child]) {
      const call = reader(one)({ id: 8 })
      await turns(20)
      const approval = asked.findLast(({ state }) => state === 'pending') as Approval
      expect(approval.terms).toEqual([{ rule: 'signal:loop', quorum: 1 }])
      expect(approval.reason).toContain('the signal `loop` was raised')
      await here.haldir.approvals.decide(approval.id, { approve: true, by: 'ann' })
      expect(await told(call)).toBe('ran')
    }
    // Others are not asked about.
    expect(await told(reader(await open(here))({ id: 9 }))).toBe('ran')
    await ships.clock.advance(10 * 60_000)
    expect(await told(reader(session)({ id: 10 }))).toBe('ran')
  })

  it('without anybody to ask they are refused; after a release they run', async () => {
    const here = fleet().house(asking())
    const session = await open(here)
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    await here.haldir.flush()
    const refused = await denial(reader(session)({ id: 8 }))
    expect(refused).toMatchObject({ code: 'approval-unavailable', rule: 'signal:loop' })
    expect(await here.haldir.signals.release(session.id)).toBe(true)
    expect(signalsOf(here).at(-1)).toMatchObject({ session: session.id, data: { released: true } })
    expect(await told(reader(session)({ id: 8 }))).toBe('ran')
  })

  it('about what an agent does, all of its sessions are asked about', async () => {
    const ships = fleet()
    const here = ships.house(asking(true))
    const session = await open(here)
    for (let turn = 0; turn < 2; turn++) await reader(session)({ id: 1 })
    await ships.clock.advance(1_000)
    await reader(session, {}, 'new-tool')({ id: 1 })
    await here.haldir.flush()
    expect(here.haldir.signals.list()).toMatchObject([{ signal: 'first-use', tool: 'new-tool', scope: 'agent' }])
    expect(await told(reader(await open(here))({ id: 1 }))).toBe('approval-unavailable')
    expect(await told(reader(await open(here, 'other'))({ id: 1 }))).toBe('ran')
    await here.haldir.signals.release(session.id)
    expect(await told(reader(await open(here))({ id: 1 }))).toBe('ran')
  })
})

it('an agent of the AI SDK that calls a tool again and again is stopped, and told so', async () => {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], signals: SUSPEND })
  const session = await haldir.createSession({ agent: 'looper', tenant: 'acme', scopes: ['read'], ttl: '1h' })
  let ran = 0
  const search = tool({
    description: 'Searches',
    inputSchema: z.object({ q: z.string() }),
    execute: async () => `nothing found (${++ran})`,
  })
  const tools = governedTools({ search }, { search: { scope: 'read' } }, { session })
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 1, text: 1, reasoning: undefined },
  }
  let step = 0
  const model = new MockLanguageModelV3({
    doGenerate: async () => ({
      content: [{ type: 'tool-call', toolCallId: `c${++step}`, toolName: 'search', input: '{"q":"the same"}' }],
      finishReason: { unified: 'tool-calls', raw: undefined },
      usage,
      warnings: [],
    }),
  })
  const result = await session.run(() => generateText({ model, tools, prompt: 'go', stopWhen: stepCountIs(12) }))
  expect(ran).toBe(8)
  const last = result.steps.at(-1)?.content.find(({ type }) => type === 'tool-error') as { error?: unknown } | undefined
  expect(String(last?.error)).toContain('the session is suspended')
  expect(haldir.signals.list()).toMatchObject([{ signal: 'loop', agent: 'looper' }])
  await haldir.close()
})

describe('what else is done, and what is not', () => {
  it('nothing is watched unless somebody wants it; a release works all the same', async () => {
    const here = fleet().house()
    const session = await open(here)
    for (let turn = 0; turn < 30; turn++) await reader(session)({ id: 7 })
    expect(signalsOf(here)).toEqual([])
    expect(here.haldir.signals.list()).toEqual([])
    expect(await here.haldir.signals.release(session.id)).toBe(false)
    expect(await here.haldir.signals.release('nobody')).toBe(false)
  })

  it('in shadow mode signals are recorded and told, and nothing is held', async () => {
    proves('shadow-runs')
    const notifier = listener()
    const here = fleet().house({
      mode: 'shadow',
      signals: { react: { loop: ['notify', 'ask', 'suspend'] }, notify: [notifier] },
    })
    const session = await open(here)
    for (let turn = 0; turn < 10; turn++) expect(await told(reader(session)({ id: 7 }))).toBe('ran')
    await here.haldir.flush()
    expect(signalsOf(here)).toMatchObject([{ enforced: false, data: { reactions: ['record', 'notify'] } }])
    expect(notifier.heard).toHaveLength(1)
    expect(await told(reader(session)({ id: 7 }))).toBe('ran')
  })

  it('neither what is refused for a signal nor what is set aside for a model raises one', async () => {
    const here = fleet().house({ signals: SUSPEND })
    const session = await open(here)
    for (let turn = 0; turn < 20; turn++) await told(reader(session)({ id: 7 }))
    const other = await open(here, 'thinker')
    for (let turn = 0; turn < 20; turn++) {
      const spending = await spendAhead(other, 'model', [usd(0.01)])
      if (Denied.isInstance(spending)) throw spending
      await spending.end([usd(0.01)])
    }
    await here.haldir.flush()
    expect(here.haldir.signals.list().map(({ signal }) => signal)).toEqual(['loop'])
  })

  it('who listens hears of a signal after it is recorded; who throws stops nobody', async () => {
    const here = fleet().house({ signals: {} })
    const heard: string[] = []
    here.haldir.signals.onSignal(() => {
      throw new Error('a broken handler')
    })
    here.haldir.signals.onSignal(async () => {
      throw new Error('a broken handler, later')
    })
    const stop = here.haldir.signals.onSignal(({ signal, text }) => {
      heard.push(signal, text, String(signalsOf(here).length))
      stop()
    })
    const session = await open(here)
    for (let turn = 0; turn < 6; turn++) await told(payer(session)({ amount: 1_000 }))
    await here.haldir.flush()
    expect(heard).toEqual([
      'repeated-denials',
      'bot: 6 denials (budget-exceeded) within 10 minutes in one session',
      '1',
    ])
    expect(here.haldir.health().faults).toMatchObject([{ part: 'onSignal', count: 2 }])
  })

  it('spending is seen whichever way it is spent', async () => {
    const ships = fleet()
    const here = ships.house({ signals: { detectors: { 'spend-spike': { days: 2 } } } })
    const day = async (amount: number) => {
      const session = await here.haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['spend:*'], ttl: '23h' })
      await session.charge(usd(amount), 'tokens')
      await (await here.haldir.payments.authorize(session, { amount: usd(amount), description: 'a book' })).capture()
      await payer(session)({ amount })
      await ships.clock.advance(86_400_000)
    }
    for (const amount of [1, 1, 1, 1]) await day(amount)
    const session = await here.haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['spend:*'], ttl: '1h' })
    await session.charge(usd(50), 'tokens')
    await here.haldir.flush()
    expect(here.haldir.signals.list()).toMatchObject([{ kind: 'one', tool: 'session.charge', value: 50, threshold: 3 }])
    await ships.clock.advance(2 * 3_600_000)
    const later = await here.haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: ['spend:*'], ttl: '1h' })
    await (await here.haldir.payments.authorize(later, { amount: usd(60), description: 'a book' })).capture()
    await here.haldir.flush()
    expect(here.haldir.signals.list()[1]).toMatchObject({ kind: 'one', tool: 'payments.authorize', value: 60 })
  })

  it('a store that does not suspend at first is asked again, and refuses meanwhile or is counted', async () => {
    let failures = 2
    const ships = fleet()
    const here = ships.house({ signals: SUSPEND }, (store) => ({
      session: {
        ...store.session,
        suspendTree: (id, rule) => {
          if (failures-- > 0) throw new Error('down')
          return store.session.suspendTree(id, rule)
        },
      },
    }))
    const session = await open(here)
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    for (let turn = 0; turn < 4; turn++) await ships.clock.advance(1_000)
    await here.haldir.flush()
    expect(await told(reader(session)({ id: 8 }))).toBe('policy-denied')
    expect(here.haldir.health().faults).toMatchObject([{ part: 'store.session.suspendTree', count: 2 }])
  })

  it('when the store never suspends, a person is asked in this process, until it is released', async () => {
    const ships = fleet()
    const here = ships.house({ signals: SUSPEND }, ({ session }) => ({
      session: { ...session, suspendTree: () => Promise.reject(new Error('down')) },
    }))
    const session = await open(here)
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    await turns(20)
    expect(await denial(reader(session)({ id: 8 }))).toMatchObject({
      code: 'approval-unavailable',
      rule: 'signal:loop',
    })
    for (let turn = 0; turn < 20; turn++) await ships.clock.advance(1_000)
    expect(here.haldir.health().faults).toMatchObject([{ part: 'store.session.suspendTree', count: 5 }])
    expect(await told(reader(session)({ id: 8 }))).toBe('approval-unavailable')
    expect(await here.haldir.signals.release(session.id)).toBe(true)
    expect(await told(reader(session)({ id: 8 }))).toBe('ran')
  })

  it('what the store does not release stays as it is', async () => {
    let down = true
    const here = fleet().house({ signals: SUSPEND }, ({ session }) => ({
      session: {
        ...session,
        resumeTree: async (id) => {
          if (down) throw new Error('down')
          return session.resumeTree(id)
        },
      },
    }))
    const session = await open(here)
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    await here.haldir.flush()
    await expect(here.haldir.signals.release(session.id)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await told(reader(session)({ id: 8 }))).toBe('policy-denied')
    down = false
    expect(await here.haldir.signals.release(session.id)).toBe(true)
    expect(await told(reader(session)({ id: 8 }))).toBe('ran')
  })
})

describe('after a restart', () => {
  it('agents are known again from the trail: a first use is one at once, and nothing old is told of', async () => {
    proves('signals-warm')
    const ships = fleet()
    const sink = memorySink()
    const options = { sinks: [sink], signals: { detectors: { 'first-use': { calls: 20 } } } } as const
    const before = ships.house(options)
    const session = await before.haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '23h' })
    for (let turn = 0; turn < 30; turn++) await reader(session)({ turn })
    await ships.clock.advance(8 * 86_400_000)
    await before.haldir.close()
    // The next process writes to a file of its own, and reads this one, too.
    const { read, chains } = sink
    const next = { ...memorySink(), ...(read && { read }), ...(chains && { chains }) }
    for (const [warmFrom, expected] of [
      ['30d', ['first-use']],
      [false, []],
      ['1d', []],
    ] as const) {
      const after = ships.house({ ...options, sinks: [next], signals: { ...options.signals, warmFrom } })
      const again = await after.haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1h' })
      await reader(again, {}, 'never-used')({})
      await turns(20)
      await after.haldir.flush()
      expect(
        after.haldir.signals.list().map(({ signal }) => signal),
        String(warmFrom),
      ).toEqual(expected)
    }
  })

  it('a trail that can not be read is counted, and watching goes on', async () => {
    const clock = fakeClock()
    const { read: _, chains: __, ...blind } = memorySink()
    const haldir = createHaldir({ clock, sinks: [blind], signals: {} })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['read'], ttl: '1h' })
    for (let turn = 0; turn < 8; turn++) await reader(session)({ id: 7 })
    await haldir.flush()
    expect(haldir.health().faults).toMatchObject([{ part: 'signals' }])
    expect(haldir.signals.list()).toMatchObject([{ signal: 'loop' }])
    await haldir.close()
  })
})

describe('options', () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ signals: { on: true } }, 'signals.on'],
    [{ signals: { react: { spike: [] } } }, 'signals.react.spike'],
    [{ signals: { react: { loop: ['stop'] } } }, 'signals.react.loop'],
    [{ signals: { react: { loop: 'suspend' } } }, 'signals.react.loop'],
    [{ signals: { notify: {} } }, 'signals.notify'],
    [{ signals: { notify: [{}] } }, 'signals.notify.0'],
    [{ signals: { askFor: 'long' } }, 'signals.askFor'],
    [{ signals: { warmFrom: true } }, 'signals.warmFrom'],
    [{ signals: { agents: 1.5 } }, 'signals.agents'],
    [{ signals: { detectors: { loop: { cycles: 0 } } } }, 'signals.detectors.loop.cycles'],
  ]
  it.each(wrong)('%j is refused, and named', async (options, path) => {
    expect((await misuse(() => createHaldir({ sinks: [memorySink()], ...(options as HaldirOptions) }))).path).toBe(path)
  })

  it('what is to be released is an id', async () => {
    const here = fleet().house()
    await misuse(() => here.haldir.signals.release(7 as unknown as string))
    await misuse(() =>
      fleet()
        .house({ signals: {} })
        .haldir.signals.onSignal('x' as never),
    )
  })
})
