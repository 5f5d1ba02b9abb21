/** The kinds of tools that LangChain has, and what people make of them: where the gate stands in each, and what it holds. */
import { currentCall, envKey, usd } from '@haldir/core'
import { governed, permitted } from '@haldir/langchain'
import { Runnable, RunnableLambda } from '@langchain/core/runnables'
import {
  DynamicTool,
  isLangChainTool,
  isRunnableToolLike,
  isStructuredTool,
  StructuredTool,
  Tool,
  tool,
} from '@langchain/core/tools'
import { convertToOpenAITool } from '@langchain/core/utils/function_calling'
import { tools as old } from 'langchain-core-03'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'
import { agentRun, home, toolCall } from './langchain-scene.ts'

const schema = z.object({ amount: z.number() })
const PAY = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const smuggled = { type: 'tool_call', amount: 1, args: { amount: 9_999 } }

/** A class that keeps to what LangChain asks of it. */
class Plain extends StructuredTool {
  readonly #private = 'kept'
  readonly got: unknown[] = []
  name = 'pay'
  description = 'pays'
  schema = schema

  get label(): string {
    return this.#private
  }

  help(): string {
    return `help of ${this.#private}`
  }

  protected async _call(args: { amount: number }): Promise<string> {
    this.got.push(args)
    return `${this.#private} ${args.amount}`
  }
}

/** One that does everything before `_call`, with private fields. */
class Outright extends Plain {
  readonly #mine = 'own'

  override async invoke(input: any): Promise<any> {
    const { amount } = input.type === 'tool_call' ? input.args : input
    this.got.push({ amount })
    return `${this.#mine} ${amount}`
  }
}

/** One that only looks, and goes on. */
class Looking extends Plain {
  readonly #looked: unknown[] = []

  override async invoke(input: any, config?: any): Promise<any> {
    this.#looked.push(input)
    return super.invoke(input, config)
  }
}

class OutrightCall extends Plain {
  override async call(arg: any): Promise<any> {
    const { amount } = arg.type === 'tool_call' ? arg.args : arg
    this.got.push({ amount })
    return `call ${amount}`
  }
}

/** One that has everything of its own that LangChain's base class has. */
class Whole extends Outright {
  override get lc_namespace(): string[] {
    return ['mine']
  }
  override async invoke(input: any): Promise<any> {
    return super.invoke(input)
  }
  override async call(arg: any): Promise<any> {
    return super.invoke(arg)
  }
}

class OldStyle extends Plain {
  override async call(arg: any, config?: any): Promise<any> {
    return super.call(arg, config)
  }
}

/** One whose instances have their methods themselves. */
class Arrows extends Plain {
  protected override _call = async (args: { amount: number }): Promise<string> => {
    this.got.push(args)
    return `arrow ${args.amount}`
  }
}

/** One that streams in its own way. */
class OwnStream extends Plain {
  override async stream(input: any): Promise<any> {
    this.got.push(input)
    return [input]
  }
  override async batch(inputs: any[]): Promise<any> {
    this.got.push(...inputs)
    return inputs
  }
}

describe.each([
  ['a class', () => new Plain(), 'kept 2'],
  ['a class that overrides `invoke` outright', () => new Outright(), 'own 2'],
  ['a class that overrides all it can', () => new Whole(), 'own 2'],
  ['a class that overrides `invoke` to look', () => new Looking(), 'kept 2'],
  ['a class that overrides `call`', () => new OldStyle(), 'kept 2'],
  ['a class that overrides `call` outright', () => new OutrightCall(), 'call 2'],
  ['a class with methods of its instances', () => new Arrows(), 'arrow 2'],
  ['a class that streams in its own way', () => new OwnStream(), 'kept 2'],
])('%s', (_, make, answer) => {
  it('runs on itself, with what was judged', async () => {
    proves('invariant-2', 'framework-agnostic')
    const { session, entries } = await home()
    const bare = make()
    const pay = governed(bare, PAY, { session })
    expect(pay).toBeInstanceOf(bare.constructor)
    expect([pay.label, pay.help()]).toEqual(['kept', 'help of kept'])
    expect(isLangChainTool(pay) && isStructuredTool(pay)).toBe(true)
    expect(convertToOpenAITool(pay)).toEqual(convertToOpenAITool(bare))
    expect(await pay.invoke({ amount: 2 })).toBe(answer)
    const calls = [
      { amount: 1 },
      { amount: 9 },
      smuggled,
      { amount: 'x' },
      { ...smuggled, amount: 99, args: { amount: 1 } },
    ]
    const { answers } = await agentRun([pay], [calls.map((args, at) => ({ tool: 'pay', args, id: `c${at}` }))])
    expect(answers.map(({ tool_call_id }) => tool_call_id)).toEqual(['c0', 'c1', 'c2', 'c3', 'c4'])
    expect(answers.map(({ content }) => String(content).match(/^Denied \(([^)]*)\)/)?.[1] ?? 'ran')).toEqual([
      'ran',
      'budget-exceeded',
      'budget-exceeded',
      'invalid-arguments',
      'ran',
    ])
    expect(bare.got).toEqual([{ amount: 2 }, { amount: 1 }, { amount: 1 }])
    expect((await entries('intent')).map(({ held }) => held[0]?.amount)).toEqual(['2', '1', '1'])
    expect(await entries('refusal')).toHaveLength(3)
  })

  it('has no way round its gate', async () => {
    proves('no-session-no-access')
    const { haldir, session } = await home()
    const bare = make()
    const pay: any = governed(bare, PAY, { haldir })
    const ways: Record<string, (of: any) => unknown> = {
      invoke: (of) => of.invoke({ amount: 1 }),
      call: (of) => of.call({ amount: 1 }),
      _call: (of) => of._call({ amount: 1 }),
      stream: async (of) => Array.fromAsync(await of.stream({ amount: 1 })),
      batch: (of) => of.batch([{ amount: 1 }]),
      transform: (of) => Array.fromAsync(of.transform(one({ amount: 1 }))),
      streamEvents: (of) => Array.fromAsync(of.streamEvents({ amount: 1 }, { version: 'v2' })),
      withConfig: (of) => of.withConfig({ tags: ['x'] }).invoke({ amount: 1 }),
      withRetry: (of) => of.withRetry({ stopAfterAttempt: 1 }).invoke({ amount: 1 }),
      pipe: (of) =>
        RunnableLambda.from((given: any) => given)
          .pipe(of)
          .invoke({ amount: 1 }),
      derived: (of) => Object.create(of).invoke({ amount: 1 }),
      assigned: (of) => Object.assign(Object.create(Object.getPrototypeOf(of)), of).invoke({ amount: 1 }),
      described: (of) =>
        Object.create(Object.getPrototypeOf(of), Object.getOwnPropertyDescriptors(of)).invoke({ amount: 1 }),
      detached: (of) => Reflect.apply(of._call, undefined, [{ amount: 1 }]),
    }
    for (const [way, go] of Object.entries(ways)) {
      const error = await Promise.resolve(go(pay)).then(undefined, (thrown) => thrown)
      expect(error, way).toMatchObject({ code: 'no-session' })
    }
    expect(bare.got).toEqual([])
    // With a session each of them runs.
    await session.run(async () => {
      for (const way of ['invoke', 'call', 'batch', 'withConfig', 'derived']) await ways[way]?.(pay)
    })
    expect(bare.got).toHaveLength(5)
  })
})

it('a class that would run with something else than can be judged is refused', async () => {
  const { session } = await home()
  class Doubling extends Outright {
    override schema = z.object({ amount: z.number().transform((amount) => amount * 2) }) as never
  }
  const bare = new Doubling()
  const pay = governed(bare, { scope: 'read' }, { session })
  await expect(pay.invoke({ amount: 1 })).rejects.toMatchObject({ code: 'invalid-arguments' })
  expect(bare.got).toEqual([])
})

it('a class that takes no text is not called with any', async () => {
  const { session } = await home()
  class Free extends Outright {
    override schema = z.object({}) as never
  }
  const bare = new Free()
  const pay: any = governed(bare, { scope: 'read' }, { session })
  for (const args of ['text', null, undefined]) {
    await expect(pay.invoke(args)).rejects.toMatchObject({ code: 'invalid-arguments' })
  }
  expect(bare.got).toEqual([])
})

it('a class that can not be judged runs as it would in shadow mode', async () => {
  proves('shadow-runs')
  const { session, entries } = await home({ mode: 'shadow' })
  class Doubling extends Looking {
    override schema = z.object({ amount: z.number().transform((amount) => amount * 2) }) as never
  }
  const bare = new Doubling()
  const pay = governed(bare, { scope: 'read' }, { session })
  expect(await pay.invoke({ amount: 1 })).toBe('kept 2')
  expect(await pay.invoke(toolCall('pay', { amount: 2 }))).toMatchObject({ content: 'kept 4', tool_call_id: 'call-1' })
  await expect(pay.invoke({} as never)).rejects.toMatchObject({ message: expect.stringContaining('expected schema') })
  expect((await entries('refusal')).map(({ code }) => code)).toEqual(Array(3).fill('invalid-arguments'))
})

it('a call that has no end is refused where it can not be parsed', async () => {
  const { session } = await home()
  const args: Record<string, unknown> = { type: 'tool_call', amount: 1 }
  args.args = args
  const bare = new Outright()
  const told: any = await governed(bare, PAY, { session }).invoke(toolCall('pay', args))
  expect(told.content).toMatch(/^Denied \(invalid-arguments\)/)
  expect(bare.got).toEqual([])
})

it('a function of a tool is its gate, too', async () => {
  const { haldir, session } = await home()
  const got: unknown[] = []
  const bare = tool(
    async (args: any) => {
      got.push(args)
      args.amount = 77
      return 'paid'
    },
    { name: 'pay', schema: { type: 'object', properties: { amount: { type: 'number' } } } as const },
  )
  const pay: any = governed(bare, { scope: 'read' }, { haldir })
  await expect(pay.func({ amount: 1 })).rejects.toMatchObject({ code: 'no-session' })
  expect(got).toEqual([])
  // What it gets is its own: what it does to it nobody sees.
  const args = { amount: 1 }
  await session.run(async () => expect(await pay.invoke(args)).toBe('paid'))
  expect([args, got]).toEqual([{ amount: 1 }, [{ amount: 77 }]])
})

it('a secret is put in the arguments of a tool that is not one’s own, of every kind', async () => {
  proves('agents-never-see-keys')
  const keys = [envKey('KEY', { env: { KEY: 'c0'.repeat(32) } })]
  const { haldir, session } = await home({ vault: { keys } })
  await haldir.vault.put('key', 'sk_live_secret_canary', { scope: 'read' })
  const got: unknown[] = []
  const fields = { name: 'send', description: 'sends', schema: z.object({ key: z.string() }) }
  const send = async (args: { key: string }) => {
    got.push(args.key)
    return `sent with ${args.key}`
  }
  class Send extends StructuredTool {
    name = fields.name
    description = fields.description
    schema = fields.schema
    override async invoke(input: any, config?: any): Promise<any> {
      return super.invoke(input, config)
    }
    protected _call(args: { key: string }): Promise<string> {
      return send(args)
    }
  }
  const made: any[] = [tool(send, fields), RunnableLambda.from(send).asTool(fields as never), new Send()]
  for (const bare of made) {
    const sends = governed(bare, { scope: 'read', secretArgs: { key: 'key' } }, { session })
    const { answers } = await agentRun([sends], [[{ tool: 'send', args: { key: '{{secret}}' } }]])
    expect(got.splice(0)).toEqual(['sk_live_secret_canary'])
    expect(JSON.stringify(answers)).not.toContain('canary')
  }
})

it('a policy that reads an argument which a tool does not have is found when it is wrapped', async () => {
  proves('policy-fits')
  const { haldir } = await home({
    policy: {
      default: 'deny',
      rules: [{ id: 'low', tools: 'pay', when: { 'args.amuont': { lt: 5 } }, then: 'allow' }],
    },
  })
  expect(() => governed(new Plain(), PAY, { haldir })).toThrow(expect.objectContaining({ code: 'invalid-policy' }))
})

describe('a tool that takes text', () => {
  it('is judged by that text', async () => {
    const { session } = await home()
    const priced: unknown[] = []
    const rule = {
      scope: 'spend',
      cost: (text: string | undefined) => {
        priced.push(text)
        return usd(text?.length ?? 0)
      },
    }
    class Say extends Tool {
      name = 'say'
      description = 'says'
      protected async _call(text: string): Promise<string> {
        return `said ${text}`
      }
    }
    class Loud extends Say {
      override async invoke(input: any, config?: any): Promise<any> {
        return super.invoke(input, config)
      }
    }
    const made = [
      new Say(),
      new Loud(),
      new DynamicTool({ name: 'say', description: 'says', func: async (text) => `said ${text}` }),
      tool(async (text) => `said ${text}`, { name: 'say', description: 'says', schema: z.string() }),
    ]
    for (const bare of made) {
      const say = governed(bare as Tool, rule, { session })
      expect(await say.invoke('a')).toBe('said a')
      const { answers } = await agentRun([say], [[{ tool: 'say', args: { input: 'far too long' } }]])
      expect(answers[0]?.content).toMatch(/^Denied \(budget-exceeded\)/)
    }
    expect(priced).toEqual(made.flatMap(() => ['a', 'far too long']))
  })

  it('of another copy of LangChain is judged by that text, too', async () => {
    const { session, entries } = await home()
    class Say extends old.Tool {
      name = 'say'
      description = 'says'
      async _call(text: string): Promise<string> {
        return `said ${text}`
      }
    }
    const say: any = governed(
      new Say() as never,
      { scope: 'spend', cost: (text: string) => usd(text.length) },
      { session },
    )
    expect(await say.invoke('a')).toBe('said a')
    expect(await say.invoke(toolCall('say', { input: 'b' }))).toMatchObject({ content: 'said b' })
    expect(await say.invoke(toolCall('say', { input: 'far too long' }))).toMatchObject({ status: 'error' })
    expect((await entries()).map(({ type }) => type)).toEqual(['intent', 'outcome', 'intent', 'outcome', 'refusal'])
  })

  it('is paid for by what it answers, not by the message that is made of it', async () => {
    const { session } = await home()
    class Say extends Tool {
      name = 'say'
      description = 'says'
      protected async _call(text: string): Promise<string> {
        return `said ${text}`
      }
    }
    const priced: unknown[] = []
    const actual = (result: unknown) => {
      priced.push(result)
      return usd(0)
    }
    const say = governed(new Say(), { scope: 'read', actual }, { session })
    expect(await say.invoke(toolCall('say', { input: 'a' }))).toMatchObject({ content: 'said a' })
    expect(priced).toEqual(['said a'])
  })
})

describe('a runnable tool', () => {
  const got: unknown[] = []
  const make = () =>
    RunnableLambda.from((args: { amount: number }) => {
      got.push(args)
      return `paid ${args.amount}, ${currentCall().tool}`
    }).asTool({ name: 'pay', description: 'pays', schema: z.object({ amount: z.coerce.number() }) as never })

  it('is judged by what its schema made of the arguments', async () => {
    proves('invariant-2')
    const { session } = await home()
    const pay = governed(make(), PAY, { session })
    expect(isRunnableToolLike(pay) && isLangChainTool(pay)).toBe(true)
    expect(convertToOpenAITool(pay as never)).toEqual(convertToOpenAITool(make() as never))
    got.length = 0
    const calls = [{ amount: '2' }, smuggled, { amount: 'x' }, { ...smuggled, amount: 99, args: { amount: 1 } }]
    const { answers } = await agentRun([pay], [calls.map((args, at) => ({ tool: 'pay', args, id: `c${at}` }))])
    expect(answers.map(({ content, tool_call_id }) => [tool_call_id, String(content).slice(0, 25)])).toEqual([
      ['c0', 'paid 2, pay'],
      ['c1', 'Denied (budget-exceeded):'],
      ['c2', 'Denied (invalid-arguments'],
      ['c3', 'paid 1, pay'],
    ])
    expect(got).toEqual([{ amount: 2 }, { amount: 1 }])
    expect(await pay.invoke({ amount: 1 })).toBe('paid 1, pay')
    expect(pay.getName()).toBe(make().getName())
  })

  it('is not parsed once more when its schema makes a call of the arguments', async () => {
    const { session } = await home()
    const seen: unknown[] = []
    const odd = RunnableLambda.from((args: unknown) => seen.push(args)).asTool({
      name: 'odd',
      schema: z.object({ x: z.number() }).transform(({ x }) => ({ type: 'tool_call', args: { x } })) as never,
    })
    const { answers } = await agentRun(
      [governed(odd, { scope: 'read' }, { session })],
      [[{ tool: 'odd', args: { x: 1 } }]],
    )
    expect(answers[0]?.content).toMatch(/^Denied \(invalid-arguments\)/)
    expect(seen).toEqual([])
  })

  it('whose `invoke` somebody has replaced is asked there', async () => {
    const { haldir } = await home()
    const replaced: any = make()
    let ran = 0
    replaced.invoke = async () => ++ran
    await expect(governed(replaced, PAY, { haldir }).invoke({ amount: 1 })).rejects.toMatchObject({
      code: 'no-session',
    })
    expect(ran).toBe(0)
  })

  it('has no way round its gate', async () => {
    const { haldir } = await home()
    const pay: any = governed(make(), PAY, { haldir })
    got.length = 0
    const input = { amount: 1 }
    const ways: (() => unknown)[] = [
      () => pay.invoke(input),
      () => pay.batch([input]),
      async () => Array.fromAsync(await pay.stream(input)),
      () => Array.fromAsync(pay.transform(one(input))),
      () => Array.fromAsync(pay.streamEvents(input, { version: 'v2' })),
      () => pay.withConfig({ tags: ['x'] }).invoke(input),
      () => pay.withRetry({ stopAfterAttempt: 1 }).invoke(input),
      () => pay.pipe((text: string) => text).invoke(input),
      () => Object.create(pay).invoke(input),
      () => Object.assign(Object.create(Object.getPrototypeOf(pay)), pay).invoke(input),
    ]
    for (const go of ways) {
      await expect(Promise.resolve(go())).rejects.toMatchObject({ code: 'no-session' })
    }
    expect(got).toEqual([])
  })
})

it('anything with a name, a schema and `invoke` is a tool', async () => {
  const { session } = await home()
  class Duck {
    readonly #voice = 'quack'
    name = 'duck'
    schema = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] }
    get voice(): string {
      return this.#voice
    }
    async invoke(args: { amount: number }): Promise<string> {
      return `${this.#voice} ${args.amount}`
    }
  }
  class Bird extends Runnable<any, any> {
    lc_namespace = ['birds']
    override name = 'bird'
    schema = schema
    override async invoke({ amount }: { amount: number }): Promise<string> {
      return `tweet ${amount}`
    }
  }
  const duck = governed(new Duck(), { scope: 'spend', cost: ({ amount }) => usd(amount) }, { session })
  expect([await duck.invoke({ amount: 1 }), duck.voice]).toEqual(['quack 1', 'quack'])
  await expect(duck.invoke({ amount: 9 })).rejects.toMatchObject({ code: 'budget-exceeded' })
  await expect(duck.invoke({} as never)).rejects.toMatchObject({ code: 'invalid-arguments' })
  const bird: any = governed(new Bird({}) as any, PAY, { session })
  expect(await bird.batch([{ amount: 1 }])).toEqual(['tweet 1'])
  await expect(bird.batch([{ amount: 9 }])).rejects.toMatchObject({ code: 'budget-exceeded' })
  await expect(bird.stream({ amount: 9 }).then((items: any) => Array.fromAsync(items))).rejects.toMatchObject({
    code: 'budget-exceeded',
  })
})

describe('lists and sets', () => {
  const named = (name: string) => tool(async () => currentCall().tool, { name, schema: z.object({}) })
  const path = (path: string, code = 'invalid-option') => expect.objectContaining({ name: 'ConfigError', code, path })

  it('are wrapped by name', async () => {
    const { session, haldir } = await home()
    const [one, other] = governed(
      [named('one'), named('other')],
      { one: { scope: 'read' }, other: { scope: 'write' } },
      { haldir },
    )
    const set = governed({ first: named('one') }, { first: { scope: 'read' } }, { haldir })
    await session.run(async () => {
      expect(await one.invoke({})).toBe('one')
      await expect(other.invoke({})).rejects.toMatchObject({ code: 'scope-missing' })
      // In a set the key is its name for Haldir; the model knows it by its own.
      expect([await set.first.invoke({}), set.first.name]).toEqual(['first', 'one'])
    })
    expect(permitted([one, other], session)).toEqual([one])
    expect(permitted({ one, other }, session)).toEqual({ one })
    expect(() => permitted([named('bare')], session)).toThrow(path('bare', 'ungovernable'))
  })

  it('of which one has no rule, or no name that is its own, are a slip', () => {
    const tools = [named('one'), named('other')]
    expect(() => governed(tools, { one: { scope: 'read' } } as never)).toThrow(path('other'))
    expect(() =>
      governed(tools, { one: { scope: 'read' }, other: { scope: [] }, third: { scope: [] } } as never),
    ).toThrow(path('third'))
    expect(() => governed([named('one'), named('one')], { one: { scope: 'read' } })).toThrow(path('tools'))
    expect(() => governed(named('one'), {} as never)).toThrow(path('scope'))
    expect(() => governed(named('one'), undefined as never)).toThrow(path('scope'))
    expect(() => governed(named('not a name'), { scope: 'read' })).toThrow(path('name'))
    expect(() => governed(undefined as never, { name: 'x', scope: [] })).toThrow(path('x', 'ungovernable'))
    expect(() => governed(RunnableLambda.from(() => 1) as never, { name: 'x', scope: [] })).toThrow(
      path('x', 'ungovernable'),
    )
  })

  it('hold no tool that is governed already, nor what was made of one', () => {
    const once = governed(named('one'), { scope: 'read' })
    for (const again of [once, Object.create(once), Object.assign(Object.create(Object.getPrototypeOf(once)), once)]) {
      expect(() => governed(again, { scope: 'read' })).toThrow(path('one', 'wrapped-twice'))
    }
    const lambda = RunnableLambda.from(() => 1).asTool({ name: 'run', schema: z.object({}) })
    expect(() => governed(governed(lambda, { scope: 'read' }), { scope: 'read' })).toThrow(path('run', 'wrapped-twice'))
  })
})

it('a tool of the provider is an error, unless it is meant to be left alone', async () => {
  proves('surface-complete')
  const { haldir, session } = await home()
  const search = { type: 'web_search_20250305', name: 'search' }
  const described = { type: 'function', function: { name: 'search', parameters: {} } }
  for (const elsewhere of [search, described]) {
    expect(() => governed(elsewhere, { name: 'search', scope: 'read' })).toThrow(
      expect.objectContaining({ code: 'ungovernable', path: 'search' }),
    )
    const left = governed(elsewhere, { name: 'search', scope: 'read', ungovernable: 'allow' }, { haldir })
    expect(left).toBe(elsewhere)
    expect(permitted([left], session)).toEqual([left])
  }
  const listed = haldir.surface().tools.filter(({ name }) => name === 'search')
  expect(listed.map(({ governed }) => governed)).toEqual([false, false])
})

it('what is no tool at all is not taken for one of the provider', () => {
  const pay = governed(new Plain(), PAY)
  const hidden = Object.defineProperty({ type: 'function' }, '$callback', { value: async () => 1 })
  for (const other of [pay.withConfig({ tags: ['x'] }), {}, hidden, new Date(0)]) {
    expect(() => governed(other as never, { name: 'x', scope: [], ungovernable: 'allow' } as never)).toThrow(
      expect.objectContaining({ code: 'ungovernable', message: expect.not.stringContaining('provider') }),
    )
  }
})

async function* one<T>(item: T): AsyncGenerator<T> {
  yield item
}
