import { describe, expect, it } from 'vitest'
import { proves } from '../../../../test/promises.ts'
import { money, usd } from '../money.ts'
import { Chain, callFragment, type Draft, NOBODY, sessionFragment, toolFragment } from '../watch/chain.ts'
import { type PrettySinkOptions, type PrettyStream, prettySink } from './pretty.ts'

const NOON = Date.UTC(2026, 0, 1, 12)
const [desk, helper, far] = [
  { agent: 'desk', id: 's1', chain: [] },
  { agent: 'helper', id: 's2', chain: ['s1'] },
  { agent: 'far', id: 's3', chain: ['s1', 's2'] },
].map((who) => sessionFragment({ tenant: 'acme', ...who })) as [string, string, string]

/** A pretty sink on a stream that keeps what it is given, told of entries as the trail's own chain writes them. */
function scene({ columns, isTTY, enforced, ...options }: Options = {}) {
  let text = ''
  const stream: PrettyStream = { write: (more) => (text += more), columns, isTTY }
  const sink = prettySink({ env: {}, stream, ...options })
  const chain = new Chain('w', 'haldir', enforced)
  let now = NOON
  const tell = (type: Draft['type'], session: string, rest: Partial<Draft> & { of?: string; tool?: string } = {}) => {
    const { of: id, tool = 'charge', ...draft } = rest
    const call = id === undefined ? {} : { call: callFragment({ id }, toolFragment({ name: tool }), undefined) }
    expect(sink.write(chain.append({ type, session, ...call, ...draft }, now))).not.toBe(false)
  }
  const open = (session: string, ...scopes: string[]) =>
    tell(session === desk ? 'session-created' : 'session-delegated', session, {
      data: { scopes, expiresAt: '2026-01-01T13:00:00.000Z' },
    })
  const ran = (of: string, session: string, spent: Draft['spent'] = [], more: object = {}, durationMs = 12) =>
    tell('outcome', session, { of, spent, durationMs, data: { ended: 'ok', ...more } })
  const pay = (session: string, amount: Draft['spent'], of = 'c') => {
    tell('intent', session, { of, held: amount ?? [] })
    ran(of, session, amount)
  }
  return {
    sink,
    tell,
    open,
    ran,
    pay,
    at(ms: number) {
      now = ms
    },
    text: () => text,
    /** Only the lines since it was last asked. */
    lines() {
      const lines = text.split('\n').slice(0, -1)
      text = ''
      return lines
    },
  }
}
type Options = PrettySinkOptions & { columns?: number; isTTY?: boolean; enforced?: boolean }

describe('prettySink', () => {
  it('prints one line a call, when it has ended', () => {
    proves('every-call-logged')
    const { tell, open, ran, lines } = scene()
    open(desk, 'read', 'spend:50')
    tell('intent', desk, { of: 'c1', held: [usd(30)] })
    expect(lines()).toEqual(['12:00:00  desk  · session created  read spend:50, until 13:00:00'])
    ran('c1', desk, [usd(29.99)])
    tell('intent', desk, { of: 'c2', tool: 'read' })
    tell('outcome', desk, { of: 'c2', tool: 'read', durationMs: 1_240, data: { ended: 'ok' } })
    tell('refusal', desk, {
      of: 'c3',
      code: 'budget-exceeded',
      data: { reason: 'the call costs more than is left', cost: [usd(34.5)] },
    })
    expect(lines()).toEqual([
      '12:00:00  desk  charge  ✓ allowed  29.99 USD    12 ms  ▕█████░░░▏ 29.99/50 USD',
      '12:00:00  desk  read    ✓ allowed               1.2 s',
      '12:00:00  desk  charge  ✗ budget-exceeded  ▕█████░░░▏ 29.99/50 USD  34.50 USD asked for: the call costs more than is left',
    ])
  })

  it('keeps calls apart that run at once, and shows what the others have set aside', () => {
    const { tell, open, ran, lines } = scene()
    open(desk, 'spend:10')
    for (const of of ['c1', 'c2']) tell('intent', desk, { of, held: [usd(4)] })
    lines()
    ran('c2', desk, [usd(3)])
    ran('c1', desk, [usd(4)])
    expect(lines()).toEqual([
      '12:00:00  desk  charge  ✓ allowed      3 USD    12 ms  ▕██▒▒▒▒░░▏ 3/10 USD',
      '12:00:00  desk  charge  ✓ allowed      4 USD    12 ms  ▕██████░░▏ 7/10 USD',
    ])
  })

  it('tells apart what failed, what did not run and whose result was held back', () => {
    const { tell, ran, lines } = scene()
    const failed = { ended: 'failed', error: 'TypeError' }
    ran('c1', desk, [usd(5)], failed, 0.25)
    tell('intent', desk, { of: 'c2', held: [usd(3)] })
    ran('c2', desk, [], failed)
    ran('c3', desk, [], { withheld: true })
    ran('c4', desk, [usd(9)], { overrun: true, settled: false })
    tell('outcome', desk, {
      of: 'c5',
      code: 'session-revoked',
      data: { ended: 'not-run', reason: 'the session was revoked' },
    })
    tell('outcome', desk, { of: 'c6', data: { ended: 'not-run', reason: 'the caller aborted' } })
    tell('outcome', desk, { of: 'c7', tool: 'session.charge', spent: [usd(1)], data: { ended: 'ok', why: 'tokens' } })
    expect(lines()).toEqual([
      '12:00:00  desk  charge  ! failed       5 USD   0.3 ms  TypeError',
      '12:00:00  desk  charge  ! failed                12 ms  TypeError, 3 USD given back',
      '12:00:00  desk  charge  ! withheld               12 ms  it ran; its result was held back',
      '12:00:00  desk  charge  ✓ allowed      9 USD    12 ms  more than was held, not counted by the store yet',
      '12:00:00  desk  charge  ✗ session-revoked  the session was revoked',
      '12:00:00  desk  charge  – not run  the caller aborted',
      '12:00:00  desk  session.charge  ✓ allowed      1 USD           tokens',
    ])
  })

  it('marks shadow mode, tells once what would have been refused, and counts it as the meters do', () => {
    proves('shadow-runs')
    const { tell, open, ran, pay, lines } = scene({ enforced: false })
    open(desk, 'spend:50')
    pay(desk, [usd(20)])
    const refused = { code: 'budget-exceeded', data: { reason: 'too much', cost: [usd(40)] } }
    tell('refusal', desk, { of: 'c2', ...refused })
    ran('c2', desk, [usd(40)])
    // Admitted, and then its session ended: that one counts.
    tell('intent', desk, { of: 'c3', held: [usd(10)] })
    tell('refusal', desk, { of: 'c3', code: 'session-revoked', data: { reason: 'it is over' } })
    ran('c3', desk, [usd(10)], { ended: 'failed', error: 'Error' })
    tell('refusal', desk, { of: 'c4', code: 'invalid-arguments', data: { reason: 'no plain data', refused: true } })
    tell('refusal', desk, { code: 'quota-exceeded', data: { reason: 'as many as may live' } })
    expect(lines()).toEqual([
      '12:00:00  desk  · session created (shadow)  spend:50, until 13:00:00',
      '12:00:00  desk  charge  ✓ allowed     20 USD    12 ms  ▕███░░░░░▏ 20/50 USD  shadow',
      '12:00:00  desk  charge  ~ budget-exceeded     40 USD    12 ms  ▕███░░░░░▏ 20/50 USD  shadow, so it ran: too much',
      '12:00:00  desk  charge  ~ session-revoked     10 USD    12 ms  ▕█████░░░▏ 30/50 USD  shadow, so it ran: it is over, failed: Error',
      '12:00:00  desk  charge  ✗ invalid-arguments  no plain data',
      '12:00:00  desk  –       ~ quota-exceeded  shadow: as many as may live',
    ])
  })

  it('tells everything else in short, and nothing of writers', () => {
    const { tell, lines } = scene()
    tell('writer-opened', NOBODY)
    tell('policy-loaded', NOBODY, { data: { name: 'shop', version: 3, rules: 12 } })
    tell('secret-put', NOBODY, { data: { secret: 'stripe_key', version: 2 } })
    tell('secret-read', desk, { of: 'c1', data: { secret: 'stripe_key', version: 2 } })
    tell('session-extended', desk, { data: { expiresAt: '2026-01-01T14:30:00.000Z' } })
    tell('session-revoked', desk, { data: { reason: 'done', sessions: 1 } })
    tell('session-revoked', desk, { data: { reason: 'done', sessions: 3 } })
    tell('recovery', NOBODY, { data: { writer: 'w0', file: 'audit-w0-1.jsonl', bytes: 6 } })
    tell('gap', NOBODY, { data: { unrecorded: 4 } })
    tell('signal', desk, { data: { kind: 'burst', calls: { deep: 1 } } })
    tell('writer-closed', NOBODY)
    expect(lines()).toEqual([
      '12:00:00  –  · policy loaded  name shop, version 3, rules 12',
      '12:00:00  –  · secret put  stripe_key, version 2',
      '12:00:00  desk  · secret read  charge, stripe_key, version 2',
      '12:00:00  desk  · session extended  until 14:30:00',
      '12:00:00  desk  · session revoked  done',
      '12:00:00  desk  · session revoked  done, 3 sessions',
      '12:00:00  –     ! recovery  writer w0, file audit-w0-1.jsonl, bytes 6',
      '12:00:00  –     ! gap  unrecorded 4',
      '12:00:00  desk  ! signal  kind burst',
    ])
  })

  it('shows what has no line of its own as an unreadable entry, and goes on', () => {
    const { sink, lines, pay } = scene()
    for (const line of [
      'nonsense',
      '[]',
      '{"type":1}',
      '{"type":"outcome","at":"x","data":[],"spent":[{}],"chain":7}',
    ]) {
      expect(sink.write(`${line}\n`)).toBe(true)
    }
    pay(desk, [])
    expect(lines()).toEqual([
      '! an entry that can not be read',
      '! an entry that can not be read',
      '! an entry that can not be read',
      '--:--:--  –  –  ✓ allowed',
      '12:00:00  desk  charge  ✓ allowed               12 ms',
    ])
  })
})

describe('the budget bar', () => {
  const bars = (lines: readonly string[]) => lines.map((line) => /▕.*/.exec(line)?.[0] ?? '')

  it('sums exactly, and neither hides a cent nor looks gone before it is', () => {
    const { open, pay, lines } = scene()
    open(desk, 'spend:50')
    for (let n = 0; n < 10; n++) pay(desk, [usd(0.1)])
    pay(desk, [usd(48.999999)])
    pay(desk, [usd('0.000001')])
    const seen = bars(lines())
    expect([1, 3, 10, 11, 12].map((which) => seen[which])).toEqual([
      '▕█░░░░░░░▏ 0.10/50 USD',
      '▕█░░░░░░░▏ 0.30/50 USD',
      '▕█░░░░░░░▏ 1/50 USD',
      '▕███████░▏ 49.999999/50 USD',
      '▕████████▏ 50/50 USD',
    ])
  })

  it('is of the limit with the least left, and only of units that the call spent', () => {
    const { open, pay, lines } = scene()
    open(desk, 'read', 'spend:50', 'spend:20:EUR', 'spend:10:USD/day', 'spend:*', 'spend:99:nonsense')
    pay(desk, [usd(4)])
    pay(desk, [money('EUR', 5)])
    pay(desk, [])
    pay(desk, [money('GBP', 5)])
    expect(bars(lines()).slice(1)).toEqual(['▕███░░░░░▏ 4/10 USD/day', '▕██░░░░░░▏ 5/20 EUR', '', ''])
  })

  it('takes what is set aside for gone when it looks for the least that is left', () => {
    const { open, tell, pay, lines } = scene()
    open(desk, 'spend:30:USD/day')
    open(helper, 'spend:20')
    tell('intent', desk, { of: 'running', held: [usd(15)] })
    pay(helper, [usd(1)])
    expect(bars(lines()).slice(2)).toEqual(['▕█▒▒▒░░░░▏ 1/30 USD/day (parent)'])
  })

  it('gives back what an authorization had set aside that expired, whoever swept it', () => {
    const { open, tell, pay, lines } = scene()
    open(desk, 'spend:10')
    tell('intent', desk, { of: 'p1', tool: 'payments.authorize', held: [usd(5)] })
    pay(desk, [usd(1)])
    const data = { ended: 'not-run', reason: 'the authorization has expired' }
    tell('outcome', NOBODY, { of: 'p1', tool: 'payments.authorize', data })
    pay(desk, [usd(1)])
    expect(lines().slice(1)).toEqual([
      '12:00:00  desk  charge  ✓ allowed      1 USD    12 ms  ▕█▒▒▒▒░░░▏ 1/10 USD',
      '12:00:00  desk  payments.authorize  – not run  the authorization has expired',
      '12:00:00  desk  charge              ✓ allowed      1 USD    12 ms  ▕██░░░░░░▏ 2/10 USD',
    ])
  })

  it('begins anew with each window, and counts a call in the one it was admitted in', () => {
    const day = 86_400_000
    const { open, tell, ran, pay, at, lines } = scene()
    open(desk, 'spend:10:USD/week')
    // 2026-01-01 is a Thursday; the next week begins on the 5th.
    pay(desk, [usd(4)])
    at(NOON + 3 * day)
    pay(desk, [usd(1)])
    tell('intent', desk, { of: 'late', held: [usd(2)] })
    at(NOON + 4 * day)
    pay(desk, [usd(3)])
    ran('late', desk, [usd(2)])
    expect(bars(lines()).slice(1)).toEqual([
      '▕███░░░░░▏ 4/10 USD/week',
      '▕████░░░░▏ 5/10 USD/week',
      '▕██░░░░░░▏ 3/10 USD/week',
      '▕██░░░░░░▏ 3/10 USD/week',
    ])
    const other = sessionFragment({ tenant: 'acme', agent: 'desk', id: 's4', chain: [] })
    open(other, 'spend:10:USD/hour')
    pay(other, [usd(1)])
    at(NOON + 4 * day + 3_600_000)
    pay(other, [usd(2)])
    expect(bars(lines()).slice(1)).toEqual(['▕█░░░░░░░▏ 1/10 USD/hour', '▕██░░░░░░▏ 2/10 USD/hour'])
  })

  it('counts what a delegated session spends on every session above it', () => {
    proves('invariant-9')
    const { open, pay, lines } = scene()
    open(desk, 'spend:50')
    open(helper, 'spend:30')
    open(far, 'spend:25')
    pay(far, [usd(10)])
    pay(helper, [usd(12)])
    pay(desk, [usd(20.5)])
    pay(far, [usd(1)])
    expect(bars(lines()).slice(3)).toEqual([
      '▕███░░░░░▏ 10/25 USD',
      '▕██████░░▏ 22/30 USD',
      '▕███████░▏ 42.50/50 USD',
      '▕███████░▏ 43.50/50 USD (parent)',
    ])
  })

  it('is missing for a session that began elsewhere; of one delegated from it, its own is shown', () => {
    const { open, pay, lines } = scene()
    pay(desk, [usd(10)])
    open(helper, 'spend:30')
    pay(helper, [usd(3)])
    expect(bars(lines())).toEqual(['', '', '▕█░░░░░░░▏ 3/30 USD'])
  })

  it('is full of a limit of nothing', () => {
    const { open, pay, tell, lines } = scene()
    open(desk, 'spend:0')
    pay(desk, [usd(0)])
    tell('refusal', desk, { of: 'c', code: 'budget-exceeded', data: { reason: 'no', cost: [usd(1)] } })
    expect(bars(lines()).slice(1)).toEqual(['▕████████▏ 0/0 USD', '▕████████▏ 0/0 USD  1 USD asked for: no'])
  })

  it('forgets the oldest calls and sessions, not the newest', () => {
    const { open, tell, ran, lines } = scene()
    open(desk, 'spend:5000')
    const failed = { ended: 'failed', error: 'E' }
    for (let n = 0; n <= 1_000; n++) tell('intent', desk, { of: `c${n}`, held: [usd(1)] })
    lines()
    ran('c0', desk, [], failed)
    ran('c1', desk, [], failed)
    expect(lines().map((line) => line.includes('1 USD given back'))).toEqual([false, true])
    const crowd = (n: number) => sessionFragment({ tenant: 'acme', agent: 'desk', id: `crowd-${n}`, chain: [] })
    for (let n = 0; n < 1_000; n++) open(crowd(n), 'spend:50')
    lines()
    ran('x', desk, [usd(1)])
    ran('y', crowd(0), [usd(1)])
    expect(bars(lines())).toEqual(['', '▕█░░░░░░░▏ 1/50 USD'])
  })
})

describe('on a terminal', () => {
  const coloured = (options: Options) => {
    const { tell, open, pay, text } = scene(options)
    open(desk, 'spend:50')
    pay(desk, [usd(40)])
    tell('refusal', desk, { of: 'c', code: 'scope-missing', data: { reason: 'no' } })
    return text()
  }

  it('is coloured, and the same text without the colours', () => {
    const text = coloured({ isTTY: true })
    expect(text).toContain('\u001b[32m  ✓ allowed\u001b[39m\u001b[1m     40 USD\u001b[22m')
    expect(text).toContain('\u001b[33m  ▕██████░░▏ 40/50 USD\u001b[39m')
    expect(text).toContain('\u001b[31m  ✗ scope-missing\u001b[39m')
    expect(text.replace(/\u001b\[\d+m/g, '')).toBe(coloured({}))
  })

  it.each<[string, Options, boolean]>([
    ['a terminal', { isTTY: true }, true],
    ['no terminal', {}, false],
    ['NO_COLOR', { isTTY: true, env: { NO_COLOR: '0' } }, false],
    ['an empty NO_COLOR', { isTTY: true, env: { NO_COLOR: '' } }, true],
    ['FORCE_COLOR', { env: { FORCE_COLOR: '1' } }, true],
    ['FORCE_COLOR that says no', { isTTY: true, env: { FORCE_COLOR: '0' } }, false],
    ['NO_COLOR and FORCE_COLOR', { isTTY: true, env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false],
    ['a dumb terminal', { isTTY: true, env: { TERM: 'dumb' } }, false],
    ['a dumb terminal, and FORCE_COLOR', { isTTY: true, env: { TERM: 'dumb', FORCE_COLOR: 'true' } }, true],
  ])('with %s', (_, options, wanted) => {
    const text = coloured(options)
    expect(text.includes('\u001b')).toBe(wanted)
    if (!wanted) expect(text.replaceAll('\n', '')).not.toMatch(/\p{C}/u)
  })

  it('cuts lines to its width, and stands closer together when that is small', () => {
    const at = (columns: number) => {
      const { tell, open, pay, lines } = scene({ columns })
      open(desk, 'spend:50')
      pay(desk, [usd(29.99)])
      tell('refusal', desk, { of: 'c', code: 'scope-missing', data: { reason: 'the session does not hold it' } })
      return lines().slice(1)
    }
    expect(at(100)).toEqual([
      '12:00:00  desk  charge  ✓ allowed  29.99 USD    12 ms  ▕█████░░░▏ 29.99/50 USD',
      '12:00:00  desk  charge  ✗ scope-missing  the session does not hold it',
    ])
    expect(at(67)[0]).toBe(`${'12:00:00 desk charge ✓ allowed 29.99 USD   12 ms ▕██░░▏ 29.99/50 USD'.slice(0, 66)}…`)
    expect(at(68)[0]).toBe('12:00:00 desk charge ✓ allowed 29.99 USD   12 ms ▕██░░▏ 29.99/50 USD')
    expect(at(40)).toEqual(['12:00:00 desk charge ✓ allowed 29.99 US…', '12:00:00 desk charge ✗ scope-missing th…'])
    for (let columns = 1; columns < 110; columns++) {
      for (const line of at(columns)) expect([...line].length, line).toBeLessThanOrEqual(columns)
    }
    expect(at(0)).toEqual(at(100))
  })

  it('follows a terminal that changes its width', () => {
    const stream = { text: '', columns: 20, write: (more: string) => (stream.text += more) }
    const sink = prettySink({ stream, env: {} })
    const chain = new Chain('w', 'haldir')
    const line = () => chain.append({ type: 'gap', session: NOBODY, data: { unrecorded: 1 } }, NOON)
    sink.write(line())
    stream.columns = 30
    sink.write(line())
    expect(stream.text).toBe('12:00:00 – ! gap un…\n12:00:00 – ! gap unrecorded 1\n')
  })
})

describe('text that others wrote', () => {
  const HOSTILE =
    '\u001b[2J\u001b]0;title\u0007\r\n\u009b31m\u202eevil\u200b\u2066\u00a0\ufeff\u{e0041}\u2028\ud800\u115f\u2800\u00ad'
  const SEEN =
    '\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{d}\\u{a}\\u{9b}31m\\u{202e}evil\\u{200b}\\u{2066}\\u{a0}\\u{feff}\\u{e0041}\\u{2028}\\u{d800}\\u{115f}\\u{2800}\\u{ad}'

  it('is shown, wherever it stands, and never acted on', () => {
    const { tell, text, lines } = scene({ isTTY: false })
    const session = sessionFragment({ tenant: HOSTILE, agent: HOSTILE, id: HOSTILE, chain: [HOSTILE] })
    const tool = HOSTILE
    tell('session-created', session, { data: { scopes: [HOSTILE, 'spend:5'], expiresAt: HOSTILE } })
    tell('refusal', session, { of: 'c', tool, code: 'policy-denied', rule: HOSTILE, data: { reason: HOSTILE } })
    tell('outcome', session, { of: 'd', tool, data: { ended: 'failed', error: HOSTILE, why: HOSTILE } })
    tell('session-revoked', session, { data: { reason: HOSTILE, sessions: HOSTILE, [HOSTILE]: HOSTILE } })
    expect(text().replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    const [, refused, failed, revoked] = lines()
    expect(refused).toContain(`✗ policy-denied  ${SEEN}`)
    expect(failed).toContain(`${SEEN}, ${SEEN}`)
    expect(revoked).toContain(SEEN)
  })

  it('is bounded, however long it is, and never cut through a character', () => {
    const { tell, lines } = scene()
    tell('refusal', desk, { of: 'c', tool: '😀'.repeat(100), code: 'policy-denied', data: { reason: 'x'.repeat(1e6) } })
    const [line = ''] = lines()
    expect(line).toBe(`12:00:00  desk  ${'😀'.repeat(31)}…  ✗ policy-denied  ${'x'.repeat(199)}…`)
  })
})

describe('a stream that is gone', () => {
  const chain = new Chain('w', 'haldir')
  const line = () => chain.append({ type: 'gap', session: NOBODY, data: { unrecorded: 1 } }, NOON)

  it('is no error of the trail’s: the line is not taken, nor any later one', () => {
    let writes = 0
    const stream = {
      write() {
        writes++
        throw new Error('EPIPE')
      },
    }
    const sink = prettySink({ stream })
    expect([sink.write(line()), sink.write(line()), writes]).toEqual([false, false, 1])
  })

  it('is noticed when it says so later, and is left alone when the sink is closed', () => {
    const listeners = new Set<(error: Error) => void>()
    const stream: PrettyStream = {
      write: () => true,
      on: (_, listener) => listeners.add(listener),
      off: (_, listener) => listeners.delete(listener),
    }
    const sink = prettySink({ stream })
    expect([sink.write(line()), sink.write(line()), listeners.size]).toEqual([true, true, 1])
    for (const listener of listeners) listener(new Error('EPIPE'))
    expect(sink.write(line())).toBe(false)
    sink.close?.()
    expect(listeners.size).toBe(0)
  })
})

describe('its options', () => {
  it('are not required of a trail, unless told', () => {
    expect([prettySink().required, prettySink({ required: true }).required, prettySink().name]).toEqual([
      false,
      true,
      'pretty',
    ])
  })

  it.each<[object, string]>([
    [{ color: true }, 'color'],
    [{ steam: process.stderr }, 'did you mean `stream`'],
    [{ stream: {} }, '`stream` is something to write to'],
  ])('%o can not work', (options, message) => {
    expect(() => prettySink(options)).toThrow(message)
  })
})
