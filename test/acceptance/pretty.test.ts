/** The terminal account of a real loop: what a developer sees while an agent works. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { governed } from '@haldir/ai-sdk'
import { createHaldir, type Haldir, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { type PrettyStream, prettySink } from '@haldir/core/sinks/pretty'
import { memoryStore } from '@haldir/core/stores/memory'
import { type FakeClock, fakeClock } from '@haldir/testing'
import { generateText, isStepCount, tool } from 'ai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { scriptedModel } from '../contracts/ai-sdk-model.ts'
import { entriesOf, proves } from '../promises.ts'

const stopWhen = isStepCount(9)
const prompt = 'Charge every open order.'

let clock: FakeClock
let written: string
beforeEach(() => {
  clock = fakeClock()
  written = ''
})
const open: Haldir[] = []
afterEach(async () => {
  for (const haldir of open.splice(0)) await haldir.close()
})

function house(stream: PrettyStream, mode: 'enforce' | 'shadow' = 'enforce', store: Store = memoryStore({ clock })) {
  const sink = memorySink()
  const haldir = createHaldir({ clock, mode, store, sinks: [sink, prettySink({ stream, env: {} })] })
  open.push(haldir)
  const charge = tool({
    inputSchema: z.object({ amount: z.number() }),
    execute: async ({ amount }) => {
      await clock.advance(12)
      return { charged: amount }
    },
  })
  const search = tool({
    inputSchema: z.object({}),
    execute: async (): Promise<string> => {
      throw new TypeError('no index')
    },
  })
  const tools = governed(
    { charge, search },
    { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) }, search: { scope: 'read' } },
    { haldir },
  )
  return { haldir, tools, lines: () => written.split('\n').slice(0, -1), trail: () => entriesOf(sink.lines) }
}

const page: PrettyStream = {
  write(text) {
    written += text
  },
}

const script = () =>
  scriptedModel(
    [{ tool: 'charge', args: { amount: 29.99 }, id: '\u001b[2Jcall' }],
    [{ tool: 'charge', args: { amount: 34.5 } }],
    [{ tool: 'search', args: {} }],
    [
      { tool: 'charge', args: { amount: 9.5 } },
      { tool: 'charge', args: { amount: 4 } },
    ],
  )

it('is one readable line for each call of an AI SDK loop, and for each session', async () => {
  proves('every-call-logged', 'framework-agnostic')
  const { haldir, tools, lines, trail } = house(page)
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:50'] })
  await session.run(() => generateText({ model: script(), tools, prompt, stopWhen }))
  await session.revoke('done')
  await session.run(() => generateText({ model: script(), tools, prompt, stopWhen: isStepCount(1) }))
  await haldir.flush()
  const [created, first, second, third, ...rest] = lines()
  expect([created, first, second, third]).toEqual([
    '00:00:00  order-bot  · session created  read spend:50, until 01:00:00',
    '00:00:00  order-bot  charge  ✓ allowed  29.99 USD    12 ms  ▕█████░░░▏ 29.99/50 USD',
    "00:00:00  order-bot  charge  ✗ budget-exceeded  ▕█████░░░▏ 29.99/50 USD  34.50 USD asked for: the call costs more than is left of the session's budget",
    '00:00:00  order-bot  search  ! failed               0.0 ms  TypeError',
  ])
  // Two at once: whichever ends first, the bar ends at what both cost.
  expect(rest.slice(0, 2).filter((line) => /✓ allowed {2} *(9\.50|4) USD/.test(line))).toHaveLength(2)
  expect(rest[1]).toContain('▕███████░▏ 43.49/50 USD')
  expect(rest.slice(2)).toEqual([
    '00:00:00  order-bot  · session revoked  done',
    '00:00:00  order-bot  charge  ✗ session-revoked  the session was revoked',
  ])
  const calls = new Set(trail().flatMap(({ call }) => call ?? []))
  expect(lines().filter((line) => !line.includes('·'))).toHaveLength(calls.size)
})

it('says what shadow mode would have refused', async () => {
  proves('shadow-runs')
  const { haldir, tools, lines } = house(page, 'shadow')
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'] })
  await session.run(() => generateText({ model: script(), tools, prompt, stopWhen: isStepCount(3) }))
  await haldir.flush()
  expect(lines().slice(1)).toEqual([
    '00:00:00  order-bot  charge  ✓ allowed  29.99 USD    12 ms  ▕█████░░░▏ 29.99/50 USD  shadow',
    "00:00:00  order-bot  charge  ~ budget-exceeded  34.50 USD    12 ms  ▕█████░░░▏ 29.99/50 USD  shadow, so it ran: the call costs more than is left of the session's budget",
    '00:00:00  order-bot  search  ~ scope-missing              0.0 ms  shadow, so it ran: the session does not hold the scope `read`, failed: TypeError',
  ])
})

it('shows of a session of another process its costs alone', async () => {
  const store = memoryStore({ clock })
  const { haldir, tools, lines } = house(page, 'enforce', store)
  const elsewhere = createHaldir({ clock, store, sinks: [memorySink()] })
  open.push(elsewhere)
  const { token } = await elsewhere.createSession({ agent: 'order-bot', scopes: ['spend:50'] })
  const session = await haldir.attach(token)
  await session.run(() => generateText({ model: script(), tools, prompt, stopWhen: isStepCount(1) }))
  await haldir.flush()
  expect(lines()).toEqual(['00:00:00  order-bot  charge  ✓ allowed  29.99 USD    12 ms'])
})

it('never stops a call when the terminal is gone, and says what it has not shown', async () => {
  const { haldir, tools, trail } = house({
    write() {
      throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
    },
  })
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:50'] })
  const { text } = await session.run(() => generateText({ model: script(), tools, prompt, stopWhen }))
  expect(text).toBe('done')
  for (let n = 0; n < 1_000; n++) await session.charge(usd(0.001), 'tokens')
  expect(haldir.health()).toMatchObject({ ok: true, trail: { waiting: 0 } })
  // Of the writer's opening there is nothing to show; of the rest, the newest thousand wait.
  expect(haldir.health().trail.dropped.pretty).toBe(trail().length - 1 - 1_000)
})

it('outlives the reader of its standard error: the program goes on and ends well', async () => {
  const program = `
    import { once } from 'node:events'
    import { createHaldir, usd } from '@haldir/core'
    import { memorySink } from '@haldir/core/sinks/memory'
    import { prettySink } from '@haldir/core/sinks/pretty'
    const haldir = createHaldir({ sinks: [memorySink(), prettySink()] })
    const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:50'] })
    await once(process.stdin, 'data')
    for (let n = 0; n < 20; n++) {
      await session.charge(usd(1), 'tokens')
      await new Promise((next) => setImmediate(next))
    }
    const [{ used }] = await session.budget()
    await haldir.close()
    console.log('spent', String(used))
    process.stdin.destroy()
  `
  const args = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e']
  const child = spawn(process.execPath, [...args, program], { cwd: new URL('../..', import.meta.url).pathname })
  let printed = ''
  child.stdout.on('data', (text) => {
    printed += text
  })
  const ended = once(child, 'close')
  await once(child.stderr, 'data')
  await once(child.stderr.destroy(), 'close')
  child.stdin.end('go\n')
  expect([await ended, printed]).toEqual([[0, null], 'spent 20 USD\n'])
})
