import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { amount, usd } from '../money.ts'
import { memorySink } from '../sinks/memory.ts'
import { Chain, callFragment, type Draft, NOBODY, sessionFragment, toolFragment } from './chain.ts'
import { chainsIn } from './chains.ts'
import { type SpendOptions, spend } from './spend.ts'

const NOON = Date.UTC(2026, 2, 29, 12)
const HOUR = 3_600_000

/** A trail being written, by the processes that are asked for. */
function scene() {
  const sink = memorySink()
  const chains = new Map<string, Chain>()
  const add = (draft: Partial<Draft> & Pick<Draft, 'type'>, { writer = 'w', at = NOON, enforced = true } = {}) => {
    const chain = chains.get(writer) ?? new Chain(writer, 'haldir', enforced)
    chains.set(writer, chain)
    sink.write(chain.append({ session: NOBODY, ...draft }, at))
  }
  const ask = (options: object = {}) => spend(() => chainsIn([sink]), options as SpendOptions)
  return { sink, add, ask }
}
type Where = { writer?: string; at?: number; enforced?: boolean }
const desk = (agent = 'desk', tenant = 'acme') => sessionFragment({ tenant, agent, id: `s-${agent}`, chain: [] })
const of = (id: string, tool = 'pay') => callFragment({ id }, toolFragment({ name: tool }), undefined)

describe('spend', () => {
  it('adds up what outcomes spent, exactly, apart for each unit', async () => {
    const { add, ask } = scene()
    for (let n = 0; n < 3; n++) {
      add({ type: 'outcome', session: desk(), call: of(`c${n}`), spent: [usd('0.1'), amount('tokens', 900)] })
    }
    add({ type: 'outcome', session: desk(), call: of('free') })
    add({ type: 'approval-used', session: desk(), spent: [usd(5)] })
    add({ type: 'refusal', session: desk(), held: [usd(5)], spent: [usd(5)] })
    expect(await ask()).toEqual([
      { unit: 'USD', spent: '0.3', outcomes: 3, open: '0', openCalls: 0 },
      { unit: 'tokens', spent: '2700', outcomes: 3, open: '0', openCalls: 0 },
    ])
  })

  it('is exact beyond what a number holds', async () => {
    const { add, ask } = scene()
    for (let n = 0; n < 2_000; n++) add({ type: 'outcome', spent: [usd('9007199254.740991')] })
    expect(await ask()).toMatchObject([{ spent: '18014398509481.982', outcomes: 2_000 }])
  })

  it('tells apart by what it is asked for, sorted, in that order', async () => {
    const { add, ask } = scene()
    add({ type: 'outcome', session: desk('till'), call: of('a', 'pay'), spent: [usd(1)] })
    add({ type: 'outcome', session: desk('desk'), call: of('b', 'look'), spent: [usd(2)] })
    add({ type: 'outcome', session: desk('desk'), call: of('c', 'pay'), spent: [usd(4)] }, { at: NOON + 12 * HOUR })
    add({ type: 'outcome', session: NOBODY, call: of('d', 'pay'), spent: [usd(8)] })
    const told = async (by: unknown) =>
      (await ask({ by })).map(({ unit: _, outcomes: __, open: ___, openCalls: ____, ...row }) => row)
    expect(await told('agent')).toEqual([
      { agent: null, spent: '8' },
      { agent: 'desk', spent: '6' },
      { agent: 'till', spent: '1' },
    ])
    expect(await told(['tool', 'agent'])).toEqual([
      { tool: 'look', agent: 'desk', spent: '2' },
      { tool: 'pay', agent: null, spent: '8' },
      { tool: 'pay', agent: 'desk', spent: '4' },
      { tool: 'pay', agent: 'till', spent: '1' },
    ])
    expect(await told(['day', 'day'])).toEqual([
      { day: '2026-03-29', spent: '11' },
      { day: '2026-03-30', spent: '4' },
    ])
    expect(await told(['month', 'tenant', 'session', 'haldir', 'rule'])).toHaveLength(3)
  })

  it('counts days by the calendar of a zone, over a change of the clock too', async () => {
    const { add, ask } = scene()
    // On this day the clocks of Berlin go from 2 to 3: it begins at 23:00 UTC and ends at 22:00.
    const hours = [-14, -13, 9, 10]
    for (const [n, hour] of hours.entries()) {
      add({ type: 'outcome', call: of(`c${n}`), spent: [usd(1)] }, { at: NOON + hour * HOUR })
    }
    const days = async (zone?: string) =>
      (await ask({ by: 'day', ...(zone ? { zone } : {}) })).map(({ day, outcomes }) => `${day} ${outcomes}`)
    expect(await days('Europe/Berlin')).toEqual(['2026-03-28 1', '2026-03-29 2', '2026-03-30 1'])
    expect(await days()).toEqual(['2026-03-28 2', '2026-03-29 2'])
    expect(await days('Pacific/Auckland')).toEqual(['2026-03-29 2', '2026-03-30 2'])
  })

  it('shows apart what is set aside for calls without an outcome', async () => {
    const { add, ask } = scene()
    add({ type: 'intent', session: desk(), call: of('done'), held: [usd(5)] })
    add({ type: 'outcome', session: desk(), call: of('done'), spent: [usd(3)] })
    add({ type: 'intent', session: desk(), call: of('not run'), held: [usd(7)] })
    add({ type: 'outcome', session: desk(), call: of('not run'), data: { ended: 'not-run' } })
    add({ type: 'intent', session: desk(), call: of('orphan'), held: [usd(9), amount('calls', 1)] })
    add({ type: 'intent', session: desk(), call: of('free') })
    expect(await ask({ by: 'agent' })).toEqual([
      { agent: 'desk', unit: 'USD', spent: '3', outcomes: 1, open: '9', openCalls: 1 },
      { agent: 'desk', unit: 'calls', spent: '0', outcomes: 0, open: '1', openCalls: 1 },
    ])
  })

  it('finds the outcome that another process wrote, whose clock is behind', async () => {
    const { add, ask } = scene()
    add({ type: 'outcome', call: of('c'), spent: [usd(3)] }, { writer: 'a', at: NOON - HOUR })
    add({ type: 'intent', call: of('c'), held: [usd(5)] }, { writer: 'b' })
    expect(await ask()).toMatchObject([{ spent: '3', open: '0' }])
    // And the one that is not asked about.
    expect(await ask({ since: new Date(NOON) })).toEqual([])
    expect(await ask({ writer: 'b' })).toEqual([])
  })

  it('counts once what a writer says again for one that had to end', async () => {
    const { add, ask } = scene()
    const end = (writer: string, entries: number) => ({ after: { writer, entries, head: '0'.repeat(64) } })
    add({ type: 'outcome', call: of('a'), spent: [usd(1)] }, { writer: 'w1' })
    // Stored, and not known to be: the sink failed in that moment.
    add({ type: 'outcome', call: of('b'), spent: [usd(2)] }, { writer: 'w1' })
    // Nothing of this one was accepted either.
    add({ type: 'writer-opened', data: end('w1', 1) }, { writer: 'w2', at: NOON + 1 })
    add({ type: 'outcome', call: of('b'), spent: [usd(2)] }, { writer: 'w2' })
    add({ type: 'writer-opened', data: end('w1', 1) }, { writer: 'w0', at: NOON + 2 })
    add({ type: 'outcome', call: of('b'), spent: [usd(2)] }, { writer: 'w0' })
    expect(await ask()).toMatchObject([{ spent: '3', outcomes: 2 }])
  })

  it('leaves shadow mode out, unless that is what is asked for', async () => {
    const { add, ask } = scene()
    add({ type: 'outcome', spent: [usd(1)] })
    add({ type: 'outcome', spent: [usd(2)] }, { writer: 'shadow', enforced: false })
    expect(await ask()).toMatchObject([{ spent: '1' }])
    expect(await ask({ enforced: false })).toMatchObject([{ spent: '2' }])
  })

  it('is narrowed as a query is', async () => {
    const { add, ask } = scene()
    const at = (hours: number): Where => ({ at: NOON + hours * HOUR })
    add({ type: 'outcome', session: desk('desk', 'acme'), call: of('a'), spent: [usd(1)] }, at(0))
    add({ type: 'outcome', session: desk('till', 'beta'), call: of('b', 'look'), spent: [usd(2)] }, at(1))
    add({ type: 'outcome', session: desk('desk', 'acme'), call: of('c'), spent: [usd(4)] }, at(2))
    expect(await ask({ tenant: 'acme' })).toMatchObject([{ spent: '5' }])
    expect(await ask({ tool: ['look'], agent: 'till' })).toMatchObject([{ spent: '2' }])
    expect(await ask({ since: new Date(NOON + HOUR), until: new Date(NOON + 2 * HOUR) })).toMatchObject([
      { spent: '2' },
    ])
  })

  it('is not thrown off by what was tampered with', async () => {
    const { add, ask, sink } = scene()
    add({ type: 'outcome', spent: [usd(1)] })
    const spents = [
      '7',
      '{}',
      '[null]',
      '[{"unit":"USD","amount":"-5"}]',
      '[{"unit":"USD","amount":1}]',
      '[{"amount":"1"}]',
    ]
    for (const [seq, spent] of spents.entries()) {
      const at = seq % 2 === 0 ? 'never' : '2026-13-45T99:99:99.999Z'
      const line = `{"type":"outcome","writer":"w","seq":${seq},"at":"${at}","enforced":true,"spent":${spent},"data":null}\n`
      sink.write(line)
      sink.write(line.replace('outcome', 'intent').replace('"spent"', '"call":7,"held"'))
    }
    expect(await ask({ by: 'day', zone: 'Europe/Berlin' })).toMatchObject([{ spent: '1', outcomes: 1 }])
  })

  it.each<[object, string]>([
    [{ by: 'unit' }, '`by` is a list of `agent`, `tool`, `day`'],
    [{ by: ['agent', 'x'] }, '`by` is a list of'],
    [{ zone: 'Mars/Olympus' }, '`zone` is an IANA zone'],
    [{ zone: '+02:00' }, '`zone` is an IANA zone'],
    [{ type: 'outcome' }, '`type` is not among the options of `spend`'],
    [{ limit: 5 }, '`limit` is not among'],
    [{ agnet: 'x' }, 'did you mean `agent`?'],
    [{ enforced: 'x' }, '`enforced` is `true` or `false`'],
  ])('%o is refused', async (options, message) => {
    const error = await scene()
      .ask(options)
      .then(undefined, (error: unknown) => error)
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(String(error)).toContain(message)
  })

  it('comes to what a plain sum comes to', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            writer: fc.constantFrom('a', 'b', 'c'),
            intent: fc.boolean(),
            call: fc.integer({ min: 0, max: 15 }),
            agent: fc.constantFrom('x', 'y'),
            micros: fc.bigInt({ min: 1n, max: 9_007_199_254_740_991n }),
            minutes: fc.integer({ min: -10, max: 10 }),
          }),
          { maxLength: 40 },
        ),
        async (entries) => {
          const { add, ask } = scene()
          const spent = { x: 0n, y: 0n }
          // One intent a call, as there is; its outcomes may stand anywhere.
          const open = new Map<number, { agent: 'x' | 'y'; micros: bigint }>()
          const closed = new Set<number>()
          for (const { writer, intent, call, agent, micros, minutes } of entries) {
            const amounts = [usd(`${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}`)]
            if (intent && open.has(call)) continue
            if (intent) open.set(call, { agent, micros })
            else {
              spent[agent as 'x' | 'y'] += micros
              closed.add(call)
            }
            const what = intent
              ? { type: 'intent' as const, held: amounts }
              : { type: 'outcome' as const, spent: amounts }
            add({ session: desk(agent), call: of(String(call)), ...what }, { writer, at: NOON + minutes * 60_000 })
          }
          const held = { x: 0n, y: 0n }
          for (const [call, { agent, micros }] of open) if (!closed.has(call)) held[agent] += micros
          const rows = await ask({ by: 'agent' })
          for (const agent of ['x', 'y'] as const) {
            const row = rows.find((one) => one.agent === agent)
            const micros = (text = '0') => {
              const [whole = '0', fraction = ''] = text.split('.')
              return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
            }
            expect([micros(row?.spent), micros(row?.open)]).toEqual([spent[agent], held[agent]])
          }
        },
      ),
    ))
})
