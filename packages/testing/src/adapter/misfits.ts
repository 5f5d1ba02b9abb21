/** What a tool does not take, and tools that an adapter does not. */
import { type Policy, usd } from '@haldir/core'
import { expect } from 'vitest'
import type { ToolBody } from './driver.ts'
import { bodyOf, CANARY, type Cases, house } from './house.ts'

const PAY = { name: 'pay', scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }

/** The tool `pay`, which takes `{ amount: number }` and keeps what it got. */
function payBody(): ToolBody & { readonly got: unknown[] } {
  return { ...bodyOf('pay', 'paid'), takesAmount: true }
}

export const misfits: Cases = {
  'arguments that do not fit the schema are refused before anything is held, in words a model can use': async (
    driver,
  ) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const body = payBody()
    const tool = driver.wrap(driver.build(body), PAY, { session })
    for (const args of [{ amount: CANARY }, {}, { amount: null }]) {
      const { answers, turns, text } = await driver.loop({ pay: tool }, [{ tool: 'pay', args }])
      expect(answers[0]?.read).toContain('amount')
      expect(answers[0]?.read).not.toMatch(/\n\s+at |node_modules/)
      expect([turns, text]).toEqual([2, 'done'])
    }
    expect(body.got).toEqual([])
    const [line] = await session.budget()
    expect([String(line?.held), String(line?.used)]).toEqual([usd(0), usd(0)].map(String))
    expect(await home.entries({ type: 'intent' })).toEqual([])
    const { answers } = await driver.loop({ pay: tool }, [{ tool: 'pay', args: { amount: 2 } }])
    expect(answers[0]?.read).toContain('paid')
    expect(body.got).toEqual([{ amount: 2 }])
  },

  'such a call is on record, without what was wrong in it': async (driver) => {
    await using home = house()
    const session = await home.newSession('spend:5')
    const tool = driver.wrap(driver.build(payBody()), PAY, { session })
    const { answers } = await driver.loop({ pay: tool }, [{ tool: 'pay', args: { amount: CANARY } }])
    expect(answers[0]?.read).toMatch(/^Denied \(invalid-arguments\): /)
    expect(answers[0]?.read).not.toContain(CANARY)
    expect(await home.entries({ type: 'refusal', code: 'invalid-arguments' })).toMatchObject([{ tool: 'pay' }])
    await home.haldir.flush()
    expect(home.sink.lines.join('\n')).not.toContain(CANARY)
  },

  'a tool of another framework is refused, and the package for it is named': async (driver) => {
    for (const [package_, tool] of Object.entries(foreign())) {
      if (package_ === driver.package) continue
      const refusal = expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: 'astray' })
      expect(() => driver.wrap(tool, { name: 'astray', scope: 'read' }), package_).toThrow(refusal)
      expect(() => driver.wrap(tool, { name: 'astray', scope: 'read' }), package_).toThrow(`\`${package_}\``)
    }
    expect(() => driver.wrap({}, { name: 'astray', scope: 'read' })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: 'astray' }),
    )
  },

  'only what a session could use at all is permitted': async (driver) => {
    const policy: Policy = {
      version: '1',
      default: 'allow',
      allowByDefault: true,
      rules: [
        { id: 'never', tools: 'forbidden', then: 'deny' },
        { id: 'some', tools: 'limited', when: { 'args.amount': { gt: 5 } }, then: 'deny' },
      ],
    }
    await using home = house({ policy })
    const session = await home.newSession('read')
    const names = ['mine', 'other', 'forbidden', 'limited']
    const tools = Object.fromEntries(
      names.map((name) => {
        const body = name === 'limited' ? { ...payBody(), name } : bodyOf(name, name)
        const scope = name === 'other' ? 'write' : 'read'
        return [name, driver.wrap(driver.build(body), { name, scope }, { haldir: home.haldir })]
      }),
    )
    const shown = driver.permitted(tools, session)
    expect(Object.keys(shown)).toEqual(['mine', 'limited'])
    for (const [name, tool] of Object.entries(shown)) expect(tool).toBe(tools[name])
    // It is no gate: what was not shown is judged all the same.
    await session.run(async () => {
      const { answers } = await driver.loop(tools, [{ tool: 'other', args: {} }])
      expect(answers[0]?.read).toMatch(/^Denied \(scope-missing\)/)
    })
    await session.revoke('done')
    expect(driver.permitted(tools, session)).toEqual({})
    const bare = driver.build(bodyOf('bare', 1))
    expect(() => driver.permitted({ bare }, session)).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: 'bare' }),
    )
  },
}

/** A tool of each framework, as its shape is. */
function foreign(): Record<string, object> {
  const run = async () => 'ran'
  const parameters = { type: 'object', properties: {} }
  return {
    '@haldir/ai-sdk': { description: 'of the AI SDK', inputSchema: parameters, execute: run },
    '@haldir/anthropic': {
      type: 'custom',
      name: 'foreign',
      description: 'of Anthropic',
      input_schema: parameters,
      run,
    },
    '@haldir/langchain': { name: 'foreign', lc_namespace: ['langchain', 'tools'], schema: parameters, invoke: run },
    '@haldir/openai': { type: 'function', function: { name: 'foreign', function: run, parse: JSON.parse, parameters } },
    '@haldir/openai/agents': {
      type: 'function',
      name: 'foreign',
      description: '',
      parameters,
      strict: true,
      invoke: run,
    },
    '@haldir/core': run,
  }
}
