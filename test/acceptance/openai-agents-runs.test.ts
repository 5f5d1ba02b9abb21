/** The ways the OpenAI Agents SDK runs tools: interruptions and resumed runs, streams, nested agents, guardrails. */
import { createHaldir, currentCall, type Entry, type Haldir, type Session, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { type GovernableTool, governed, permitted } from '@haldir/openai/agents'
import {
  Agent,
  applyPatchTool,
  codeInterpreterTool,
  computerTool,
  fileSearchTool,
  hostedMcpTool,
  imageGenerationTool,
  type MCPServer,
  mcpToFunctionTool,
  RunContext,
  Runner,
  RunState,
  shellTool,
  type Tool,
  tool,
  toolNamespace,
  webSearchTool,
} from '@openai/agents'
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'

let haldir: Haldir
let session: Session

beforeEach(async () => {
  haldir = createHaldir({ sinks: [memorySink()] })
  session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:5'] })
})
afterEach(() => haldir.close())

const runner = new Runner({ tracingDisabled: true })
const DONE = [assistantMessage('done')]

type Call = readonly [name: string, args: Record<string, unknown>]

const said = (...calls: readonly Call[]) =>
  calls.map(([name, args], index) => functionCall(name, args, { callId: `${name}-${index}` }))

function scripted(...calls: readonly Call[]): ScriptedModel {
  return new ScriptedModel([said(...calls), DONE])
}

function readBy(model: ScriptedModel): unknown[] {
  const { input } = model.lastCall?.request ?? { input: '' }
  const results = Array.isArray(input) ? input.filter((item) => item.type === 'function_call_result') : []
  return results.map(({ output }) => (output as { text?: string }).text ?? output)
}

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

async function used(): Promise<string> {
  const [line] = await session.budget()
  return String(line?.used)
}

const who = (name = 'who') =>
  tool({ name, description: '', parameters: z.object({}), execute: async () => currentCall().session.id })

describe('the session', () => {
  it('comes in the context of the run, as a handle', async () => {
    const wrapped = governed(who(), { name: 'who', scope: 'read' }, { haldir })
    const model = scripted(['who', {}])
    await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on', {
      context: { haldirSession: session, region: 'eu' },
    })
    expect(readBy(model)).toEqual([session.id])
    for (const context of [{ haldirSession: session.token }, { haldirSession: { ...session } }, undefined]) {
      const model = scripted(['who', {}])
      await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on', { context })
      expect(readBy(model)).toEqual([expect.stringMatching(/^Denied \(no-session\): /)])
    }
  })

  it('is ambient in streamed runs, nested agents and handoffs, and not confused among runs', async () => {
    const other = await haldir.createSession({ agent: 'other', scopes: ['read'] })
    const ask = async (stream: boolean) => {
      const wrapped = governed([who()], { who: { scope: 'read' } }, { haldir })
      const models = [scripted(['who', {}]), scripted(['who', {}])] as const
      const nested = new Agent({ name: 'nested', model: models[0], tools: wrapped })
      const after = new Agent({ name: 'after', model: models[1], tools: wrapped })
      const outer = new ScriptedModel([said(['inner', { input: 'x' }]), said(['transfer_to_after', {}])])
      const inner = governed(nested.asTool({ toolName: 'inner' }), { name: 'inner', scope: 'read' }, { haldir })
      const agent = new Agent({ name: 'agent', model: outer, tools: [inner], handoffs: [after] })
      if (stream) {
        const result = await runner.run(agent, 'go on', { stream: true })
        for await (const event of result) void event
        await result.completed
      } else await runner.run(agent, 'go on')
      return models.map((model) => readBy(model).at(-1))
    }
    const asked = [session, other].flatMap((one) => [one.run(() => ask(false)), one.run(() => ask(true))])
    const ids = [session.id, session.id, other.id, other.id]
    expect(await Promise.all(asked)).toEqual(ids.map((id) => [id, id]))
    expect(await entries('refusal')).toEqual([])
  })
})

describe('a call that waits for approval', () => {
  let ran: unknown[]
  const build = (model: ScriptedModel) => {
    const pay = tool({
      name: 'pay',
      description: '',
      parameters: z.object({ amount: z.number() }),
      needsApproval: true,
      execute: async ({ amount }) => {
        ran.push(amount)
        return `paid ${amount}`
      },
    })
    const rule = { scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
    return new Agent({ name: 'agent', model, tools: governed([pay], { pay: rule }, { haldir }) })
  }
  beforeEach(() => {
    ran = []
  })

  it('takes nothing until it is approved, and is judged when it runs', async () => {
    const model = scripted(['pay', { amount: 2 }])
    const agent = build(model)
    await session.run(async () => {
      const { interruptions, state } = await runner.run(agent, 'go on')
      expect([interruptions.length, await used(), ran, await entries('intent')]).toEqual([1, String(usd(0)), [], []])
      state.approve(interruptions[0]!)
      expect((await runner.run(agent, state)).finalOutput).toBe('done')
    })
    expect([readBy(model), ran, await used()]).toEqual([['paid 2'], [2], String(usd(2))])
  })

  it('is refused when the session has ended meanwhile, whoever has approved it', async () => {
    const model = scripted(['pay', { amount: 2 }])
    const agent = build(model)
    const { interruptions, state } = await session.run(() => runner.run(agent, 'go on'))
    state.approve(interruptions[0]!, { alwaysApprove: true })
    await session.revoke('stop')
    await session.run(() => runner.run(agent, state))
    expect([readBy(model), ran]).toEqual([[expect.stringMatching(/^Denied \(session-revoked\): /)], []])
  })

  it('is nothing to the gate when it is rejected', async () => {
    const model = scripted(['pay', { amount: 2 }])
    const agent = build(model)
    await session.run(async () => {
      const { interruptions, state } = await runner.run(agent, 'go on')
      state.reject(interruptions[0]!)
      await runner.run(agent, state)
    })
    expect([ran, await entries('intent'), await entries('refusal')]).toEqual([[], [], []])
  })

  it('runs in another process under a session that is handed over there, and each replay is paid for', async () => {
    const first = await session.run(() => runner.run(build(scripted(['pay', { amount: 2 }])), 'go on'))
    const text = first.state.toString()
    expect(text).not.toContain(session.token)
    for (const paid of [2, 4]) {
      const model = new ScriptedModel([DONE])
      const agent = build(model)
      const attached = await haldir.attach(session.token)
      const context = new RunContext({ haldirSession: attached })
      const state = await RunState.fromStringWithContext(agent, text, context, { contextStrategy: 'replace' })
      state.approve(state.getInterruptions()[0]!)
      await runner.run(agent, state)
      expect([readBy(model), await used()]).toEqual([['paid 2'], String(usd(paid))])
    }
    // The state says that it is approved; the budget says no.
    const model = new ScriptedModel([DONE])
    const state = await RunState.fromString(build(model), text)
    state.approve(state.getInterruptions()[0]!)
    await session.run(() => runner.run(build(model), state))
    expect([readBy(model), ran]).toEqual([[expect.stringMatching(/^Denied \(budget-exceeded\): /)], [2, 2]])
  })

  it('is judged by what the state says now, also when somebody has changed it', async () => {
    const first = await session.run(() => runner.run(build(scripted(['pay', { amount: 2 }])), 'go on'))
    const text = first.state.toString().replaceAll('{\\"amount\\":2}', '{\\"amount\\":9}')
    const model = new ScriptedModel([DONE])
    const agent = build(model)
    const state = await RunState.fromString(agent, text)
    state.approve(state.getInterruptions()[0]!)
    await session.run(() => runner.run(agent, state))
    expect([readBy(model), ran]).toEqual([[expect.stringMatching(/^Denied \(budget-exceeded\): /)], []])
  })

  it('brings no session of its own: what a state has kept of one is no handle', async () => {
    const model = scripted(['pay', { amount: 2 }])
    const first = await runner.run(build(model), 'go on', { context: { haldirSession: session } })
    const agent = build(new ScriptedModel([DONE]))
    const state = await RunState.fromString(agent, first.state.toString())
    state.approve(state.getInterruptions()[0]!)
    const { newItems } = await runner.run(agent, state)
    expect(JSON.stringify(newItems)).toContain('Denied (no-session)')
    expect(ran).toEqual([])
  })

  const nested = (outer: ScriptedModel, inner: ScriptedModel, ...more: ((agent: Agent) => Tool)[]) => {
    const agent = build(inner)
    const asks = governed(agent.asTool({ toolName: 'asks' }), { name: 'asks', scope: 'read' }, { haldir })
    return new Agent({ name: 'outer', model: outer, tools: [asks, ...more.map((make) => make(agent))] })
  }
  const models = () => [scripted(['asks', { input: 'x' }]), scripted(['pay', { amount: 2 }])] as const

  it('within a nested agent goes on in the same process', async () => {
    const [outer, inner] = models()
    const agent = nested(outer, inner)
    await session.run(async () => {
      const { interruptions, state } = await runner.run(agent, 'go on')
      state.approve(interruptions[0]!)
      expect((await runner.run(agent, state)).finalOutput).toBe('done')
    })
    expect([ran, await used()]).toEqual([[2], String(usd(2))])
  })

  it('within a nested agent goes on in another one, where the SDK sees the agent', async () => {
    const seen = (agent: Agent) => agent.asTool({ toolName: 'unused', isEnabled: false }) as Tool
    const [outer, inner] = models()
    const first = await session.run(() => runner.run(nested(outer, inner, seen), 'go on'))
    const agent = nested(outer, inner, seen)
    const state = await RunState.fromString(agent, first.state.toString())
    state.approve(state.getInterruptions()[0]!)
    expect((await session.run(() => runner.run(agent, state))).finalOutput).toBe('done')
    expect([ran, await used()]).toEqual([[2], String(usd(2))])
  })
})

describe('a run', () => {
  it('runs calls that repeat one id and its arguments once, as with the bare tool', async () => {
    let ran = 0
    const pay = tool({ name: 'pay', description: '', parameters: z.object({}), execute: async () => `${++ran}` })
    const wrapped = governed(pay, { name: 'pay', scope: 'spend', cost: usd(1) }, { session })
    const twice = [functionCall('pay', {}, { callId: 'c' }), functionCall('pay', {}, { callId: 'c' })]
    await runner.run(new Agent({ name: 'agent', model: new ScriptedModel([twice, DONE]), tools: [wrapped] }), 'go on')
    expect([ran, await used(), await entries('intent')]).toEqual([
      1,
      String(usd(1)),
      [expect.objectContaining({ ref: 'c' })],
    ])
  })

  it('tells of a timeout as with the bare tool, which reaches the running tool', async () => {
    let reason: unknown
    const slow = tool({
      name: 'slow',
      description: '',
      parameters: z.object({}),
      timeoutMs: 20,
      execute: async (_, __, details) => {
        const { signal } = details ?? {}
        await new Promise((resolve) => signal?.addEventListener('abort', resolve))
        reason = signal?.reason
        throw reason
      },
    })
    const wrapped = governed(slow, { name: 'slow', scope: 'read' }, { session })
    const model = scripted(['slow', {}])
    await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on')
    expect(readBy(model)).toEqual(["Tool 'slow' timed out after 20ms."])
    expect(reason).toMatchObject({ name: 'ToolTimeoutError' })
    expect((await entries('outcome'))[0]?.data).toMatchObject({ ended: 'failed', error: 'ToolTimeoutError' })
  })

  it('goes on when its session is revoked, and the model reads why', async () => {
    const waits = tool({
      name: 'waits',
      description: '',
      parameters: z.object({}),
      execute: async (_, __, details) => {
        const aborted = new Promise((resolve) => details?.signal?.addEventListener('abort', resolve))
        await session.revoke('stop')
        await aborted
        details?.signal?.throwIfAborted()
        return 'never'
      },
    })
    const wrapped = governed(waits, { name: 'waits', scope: 'read' }, { session })
    const model = scripted(['waits', {}])
    const { finalOutput } = await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on')
    expect([finalOutput, readBy(model)]).toEqual(['done', [expect.stringMatching(/^Denied \(session-revoked\): /)]])
  })

  it('ends when its session is revoked and its signal is the session’s', async () => {
    const waits = tool({
      name: 'waits',
      description: '',
      parameters: z.object({}),
      execute: async (_, __, details) => {
        await session.revoke('stop')
        details?.signal?.throwIfAborted()
        return 'never'
      },
    })
    const wrapped = governed(waits, { name: 'waits', scope: 'read' }, { session })
    const model = scripted(['waits', {}])
    const agent = new Agent({ name: 'agent', model, tools: [wrapped] })
    const ended = runner.run(agent, 'go on', { signal: session.signal })
    await expect(ended).rejects.toMatchObject({ code: 'session-revoked' })
    expect(model.calls).toHaveLength(1)
  })

  it('ends when its caller aborts it', async () => {
    let caller: AbortController
    const waits = tool({
      name: 'waits',
      description: '',
      parameters: z.object({}),
      execute: async (_, __, details) => {
        caller.abort(new Error('enough'))
        details?.signal?.throwIfAborted()
        return 'never'
      },
    })
    const wrapped = governed(waits, { name: 'waits', scope: 'read' }, { session })
    const ended = async (tools: Tool[]) => {
      caller = new AbortController()
      const agent = new Agent({ name: 'agent', model: scripted(['waits', {}]), tools })
      return runner.run(agent, 'go on', { signal: caller.signal }).then(String, (error) => String(error))
    }
    expect(await ended([wrapped])).toBe(await ended([waits]))
  })

  it('heeds guardrails: before the gate what they reject, after it what they make of results', async () => {
    const ran: unknown[] = []
    const pay = tool({
      name: 'pay',
      description: '',
      parameters: z.object({ to: z.string() }),
      execute: async ({ to }) => {
        ran.push(to)
        return `paid ${to}`
      },
      inputGuardrails: [
        {
          name: 'friends',
          run: async ({ toolCall }) =>
            toolCall.arguments.includes('foe')
              ? { behavior: { type: 'rejectContent', message: 'not to them' } }
              : { behavior: { type: 'allow' } },
        },
      ],
      outputGuardrails: [
        {
          name: 'plain',
          run: async ({ output }) =>
            output === 'paid mum'
              ? { behavior: { type: 'rejectContent', message: 'a secret' } }
              : { behavior: { type: 'allow' } },
        },
      ],
    })
    const wrapped = governed(pay, { name: 'pay', scope: 'spend', cost: usd(1) }, { session })
    const model = scripted(['pay', { to: 'foe' }], ['pay', { to: 'mum' }], ['pay', { to: 'dad' }])
    await runner.run(new Agent({ name: 'agent', model, tools: [wrapped] }), 'go on')
    expect(readBy(model)).toEqual(['not to them', 'a secret', 'paid dad'])
    expect([ran, await used()]).toEqual([['mum', 'dad'], String(usd(2))])
  })

  it('shows no tool that is not enabled, and answers what `outputSchema` makes of results', async () => {
    const off = tool({
      name: 'off',
      description: '',
      parameters: z.object({}),
      isEnabled: false,
      execute: async () => '',
    })
    const typed = tool({
      name: 'typed',
      description: '',
      parameters: z.object({}),
      outputSchema: z.object({ total: z.number().default(7) }),
      execute: async () => ({}) as { total: number },
    })
    const rules = {
      off: { scope: 'read' },
      typed: { scope: 'spend', cost: usd(5), actual: (result: { total: number }) => usd(result.total - 4) },
    }
    const tools = governed({ off, typed }, rules, { session })
    const model = scripted(['typed', {}])
    await runner.run(new Agent({ name: 'agent', model, tools: Object.values(tools) }), 'go on')
    expect(model.firstCall?.request.tools.map(({ name }) => name)).toEqual(['typed'])
    expect([readBy(model), await used()]).toEqual([['{"total":7}'], String(usd(3))])
  })
})

describe('tools from elsewhere', () => {
  it('of MCP servers are governed like any other, and the signal reaches the server', async () => {
    const asked: unknown[] = []
    const server = {
      name: 'shop',
      async callTool(name: string, args: unknown, _: unknown, options?: { signal?: AbortSignal }) {
        asked.push([name, args, options?.signal instanceof AbortSignal])
        return [{ type: 'text', text: 'found' }]
      },
    } as unknown as MCPServer
    const inputSchema = {
      type: 'object' as const,
      properties: { id: { type: 'number' as const } },
      required: ['id'],
      additionalProperties: false,
    }
    const find = mcpToFunctionTool({ name: 'find', description: '', inputSchema }, server, false)
    const tools = governed([find], { find: { scope: 'read' } }, { session })
    const model = scripted(['find', { id: 7 }], ['find', { id: 'seven' }])
    await runner.run(new Agent({ name: 'agent', model, tools }), 'go on')
    expect(JSON.stringify(readBy(model)[0])).toContain('found')
    expect(readBy(model)[1]).toMatch(/^Denied \(invalid-arguments\): .*`id` is not of type number/)
    expect(asked).toEqual([['find', { id: 7 }, true]])
  })

  it('in a namespace keep it', async () => {
    const spaced = toolNamespace({ name: 'crm', description: 'customers', tools: [who()] })
    const [wrapped] = governed(spaced, { who: { scope: 'read' } }, { session })
    const call = functionCall('who', {}, { callId: 'c', namespace: 'crm' })
    const model = new ScriptedModel([[call], DONE])
    await runner.run(new Agent({ name: 'agent', model, tools: [wrapped as Tool] }), 'go on')
    expect(readBy(model)).toEqual([session.id])
  })

  it('that are agents stay governed when something listens to them', async () => {
    const nested = new Agent({ name: 'nested', model: new ScriptedModel([DONE]) })
    const heard: string[] = []
    const bare = nested.asTool({ toolName: 'nested' })
    const wrapped = governed(bare, { name: 'nested', scope: 'delete' }, { session })
    const listening = wrapped.on('run_item_stream_event', ({ event }) => void heard.push(event.type))
    expect(listening).toBe(wrapped)
    const model = scripted(['nested', { input: 'x' }])
    await runner.run(new Agent({ name: 'agent', model, tools: [listening] }), 'go on')
    expect(readBy(model)).toEqual([expect.stringMatching(/^Denied \(scope-missing\): /)])
    const allowed = governed(bare, { name: 'nested', scope: 'read' }, { session })
    await runner.run(
      new Agent({ name: 'agent', model: scripted(['nested', { input: 'x' }]), tools: [allowed] }),
      'go on',
    )
    expect(heard).toEqual(['run_item_stream_event'])
  })

  it('that are agents run as part of the run that calls them: by its model, on its account', async () => {
    const counted = async (wrap: (tool: Tool) => Tool) => {
      const model = new ScriptedModel([DONE])
      const tools = [wrap(new Agent({ name: 'nested' }).asTool({ toolName: 'nested' }) as Tool)]
      const agent = new Agent({ name: 'agent', model: scripted(['nested', { input: 'x' }]), tools })
      const runner = new Runner({ tracingDisabled: true, modelProvider: { getModel: () => model } })
      const { runContext } = await runner.run(agent, 'go on')
      return [model.calls.length, runContext.usage.requests]
    }
    const gated = (bare: Tool) => governed(bare, { name: 'nested', scope: 'read' }, { session })
    expect([await counted(gated), await counted((bare) => bare)]).toEqual(Array(2).fill([1, 3]))
  })

  const shell = { run: async () => ({ output: [] }) }
  const editor = { createFile: async () => {}, updateFile: async () => {}, deleteFile: async () => {} }
  const elsewhere: Record<string, unknown> = {
    web_search: webSearchTool(),
    file_search: fileSearchTool('vs_1'),
    code_interpreter: codeInterpreterTool(),
    image_generation: imageGenerationTool(),
    hosted_mcp: hostedMcpTool({ serverLabel: 'shop', serverUrl: 'https://shop.invalid' }),
    shell: shellTool({ shell: shell as never }),
    apply_patch: applyPatchTool({ editor: editor as never }),
    computer_use_preview: computerTool({ computer: {} as never }),
  }

  it.each(Object.entries(elsewhere))('%s is no function tool: an error, unless that is allowed', (name, bare) => {
    const one = bare as GovernableTool
    expect(one.name).toBe(name)
    const refusal = expect.objectContaining({ name: 'ConfigError', code: 'ungovernable', path: name })
    expect(() => governed(one, { name, scope: 'read' })).toThrow(refusal)
    expect(() => governed([one], { [name]: { scope: 'read' } })).toThrow(refusal)
    expect(governed([one], { [name]: { scope: 'read', ungovernable: 'allow' } }, { haldir })).toEqual([one])
    expect(haldir.surface().tools.filter((tool) => tool.name === name)).toMatchObject([{ governed: false }])
  })

  it('are wrapped once, each with a rule, and none is left out', () => {
    const tools = [who('a'), who('b')]
    const path = (path: string) => expect.objectContaining({ name: 'ConfigError', path })
    const any = tools as GovernableTool[]
    expect(() => governed(any, { a: { scope: 'read' } })).toThrow(path('b'))
    expect(() => governed(any, { a: { scope: 'read' }, b: { scope: 'read' }, c: { scope: 'read' } })).toThrow(path('c'))
    expect(() => governed([who('a'), who('a')], { a: { scope: 'read' } })).toThrow(path('tools'))
    expect(() => governed(who('a') as never, { a: { scope: 'read' } } as never)).toThrow(path('name'))
    expect(() => governed(new Agent({ name: 'agent' }) as never, { name: 'agent', scope: 'read' })).toThrow(
      path('agent'),
    )
  })

  it('that the session can’t use are left out of a list', () => {
    const tools = governed([who('a'), who('b')], { a: { scope: 'read' }, b: { scope: 'delete' } }, { haldir })
    expect(permitted(tools, session)).toEqual([tools[0]])
    expect(() => permitted([who()], session)).toThrow(expect.objectContaining({ code: 'ungovernable', path: 'who' }))
  })
})
