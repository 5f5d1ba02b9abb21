/** Tools of MCP servers, through the MCP client of the AI SDK: governed like any other, with their hints as defaults. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMCPClient } from '@ai-sdk/mcp'
import { governed, permitted, type ToolRule, toolApproval } from '@haldir/ai-sdk'
import { createHaldir, currentCall, type Entry, envKey, type Haldir, type Session } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type { Tool } from 'ai'
import { createMCPClient as createMCPClient6 } from 'ai6-mcp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Version, versions } from '../contracts/ai-sdk-versions.ts'
import { proves } from '../promises.ts'
import { misuse } from './scene.ts'

const prompt = 'go on'
const HINTS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }

let haldir: Haldir
let session: Session
const ending: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  const env = { HALDIR_KEY: 'c0'.repeat(32) }
  haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [envKey('HALDIR_KEY', { env })] } })
  session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
})
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
  await haldir.close()
})

async function entries(type: Entry['type']): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of haldir.trail.query({ type })) found.push(entry)
  return found
}

/** Hears of every call that reaches the server. */
type Hear = (tool: string, id?: number) => void

function shop(hear: Hear): McpServer {
  const server = new McpServer({ name: 'shop', version: '1' })
  const text = (text: string) => ({ content: [{ type: 'text' as const, text }] })
  server.registerTool(
    'look',
    { description: 'looks at an order', inputSchema: { id: z.number() }, annotations: HINTS },
    async ({ id }) => {
      hear('look', id)
      return text(`order ${id}`)
    },
  )
  server.registerTool(
    'remove',
    { inputSchema: { id: z.number() }, annotations: { title: 'Remove' } },
    async ({ id }) => {
      hear('remove', id)
      return text('removed')
    },
  )
  server.registerTool('fail', { inputSchema: {} }, async () => ({ ...text('no such order'), isError: true }))
  server.registerTool('slow', { inputSchema: {} }, () => {
    hear('slow')
    return new Promise(() => {})
  })
  return server
}

async function inMemory(hear: Hear): Promise<Transport> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  const server = shop(hear)
  await server.connect(theirs)
  ending.push(() => server.close())
  return ours
}

async function overHttp(hear: Hear): Promise<{ type: 'http'; url: string }> {
  const server: Server = createServer((request, response) => {
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
    void shop(hear)
      .connect(transport as Transport)
      .then(() => transport.handleRequest(request, response))
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  ending.push(
    () =>
      new Promise((closed) => {
        server.close(closed)
        server.closeAllConnections()
      }),
  )
  return { type: 'http', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` }
}

type Tools = Record<'look' | 'remove' | 'fail' | 'slow', Tool<any, any> & { metadata?: any }>
type Where = (hear: Hear) => Promise<object>

async function toolsOf({ major }: Version, where: Where, hear: Hear = () => {}): Promise<Tools> {
  const transport = await where(hear)
  const create = (major === 7 ? createMCPClient : createMCPClient6) as typeof createMCPClient
  const client = await create({ transport: transport as never })
  ending.push(() => client.close())
  return (await client.tools()) as unknown as Tools
}

const scopes: Record<keyof Tools, ToolRule> = {
  look: { scope: 'read' },
  remove: { scope: 'delete' },
  fail: { scope: 'read' },
  slow: { scope: 'read' },
}

/** What the model read in answer to its last calls. */
function readBy(model: { doGenerateCalls: any[] }): any[] {
  const message = model.doGenerateCalls.at(-1)?.prompt.at(-1)
  return message?.role === 'tool' ? message.content.map((part: { output: unknown }) => part.output) : []
}

const annotations = (name: string) => haldir.surface().tools.find((tool) => tool.name === name)?.annotations

// The client for AI SDK 6 needs tools that can be dynamic, which 5 has too; nobody publishes one for 5 any more.
describe.each(versions.filter(({ major }) => major > 5))('$name', (version) => {
  const { sdk, model: scripted } = version
  const stopWhen = sdk.stepCountIs(3)

  describe.each([
    ['in memory', inMemory as Where],
    ['over HTTP', overHttp as Where],
  ])('a server %s', (_, where) => {
    it('is governed tool by tool: what is denied never reaches it', async () => {
      proves('framework-agnostic')
      const called: unknown[] = []
      const bare = await toolsOf(version, where, (...call) => called.push(call))
      const tools = governed(bare, scopes, { haldir })
      const model = scripted([
        { tool: 'look', args: { id: 7 } },
        { tool: 'remove', args: { id: 7 } },
      ])
      const { text } = await session.run(() => sdk.generateText({ model, tools, prompt, stopWhen }))
      expect(text).toBe('done')
      const [look, remove] = readBy(model)
      expect(look).toMatchObject({ type: 'content', value: [{ type: 'text', text: 'order 7' }] })
      expect(remove).toMatchObject({ type: 'error-text', value: /^Denied \(scope-missing\): / })
      expect(called).toEqual([['look', 7]])
      expect((await entries('intent')).map(({ tool }) => tool)).toEqual(['look'])
      const [intent] = await entries('intent')
      expect(intent?.toolHash).toMatch(/^[0-9a-f]{64}$/)
    })

    it('tells the model of the same tools, and answers the same', async () => {
      const bare = await toolsOf(version, where)
      const tools = governed(bare, scopes, { session })
      const calls = [{ tool: 'look', args: { id: 7 } }]
      const [one, other] = [scripted(calls), scripted(calls)]
      const plain = await sdk.generateText({ model: one, tools: bare, prompt, stopWhen })
      const governedly = await sdk.generateText({ model: other, tools, prompt, stopWhen })
      expect(other.doGenerateCalls).toEqual(one.doGenerateCalls)
      expect(governedly.steps[0]?.toolResults).toEqual(plain.steps[0]?.toolResults)
      expect(Object.keys(tools.look).sort()).toEqual(Object.keys(bare.look).sort())
      expect(tools.look.metadata).toBe(bare.look.metadata)
    })

    it('an answer that says `isError` passes as it is: the tool ran', async () => {
      const bare = await toolsOf(version, where)
      const tools = governed(bare, scopes, { session })
      const calls = [{ tool: 'fail', args: {} }]
      const [one, other] = [scripted(calls), scripted(calls)]
      await sdk.generateText({ model: one, tools: bare, prompt, stopWhen })
      const { steps } = await sdk.generateText({ model: other, tools, prompt, stopWhen })
      expect(steps[0]?.toolResults[0]?.output).toEqual({
        content: [{ type: 'text', text: 'no such order' }],
        isError: true,
      })
      expect(readBy(other)).toEqual(readBy(one))
      expect(await entries('outcome')).toMatchObject([{ data: { ended: 'ok' } }])
    })
  })

  it('the end of the session ends a call that waits for the server', async () => {
    proves('instant-revoke')
    const { promise: started, resolve: hear } = Promise.withResolvers<unknown>()
    const tools = governed(await toolsOf(version, inMemory as Where, hear), scopes, { session })
    const model = scripted([{ tool: 'slow', args: {} }])
    const loop = sdk.generateText({ model, tools, prompt, stopWhen, abortSignal: session.signal })
    const ended = expect(loop).rejects.toMatchObject({ code: 'session-revoked' })
    await started
    await session.revoke('enough')
    await ended
    await haldir.flush()
    expect(await entries('outcome')).toMatchObject([{ tool: 'slow', data: { ended: 'failed' } }])
  })

  it('a secret that a server repeats is redacted before `toModelOutput`', async () => {
    proves('agents-never-see-keys')
    await haldir.vault.put('key', 'sk-live-0123456789', { scope: 'read' })
    const bare = await toolsOf(version, inMemory as Where)
    const leaky = {
      ...bare.look,
      execute: async () => ({ content: [{ type: 'text', text: currentCall().secret('key').reveal() }] }),
    }
    const tools = { look: governed(leaky, { name: 'look', scope: 'read', secrets: ['key'] }, { session }) }
    const model = scripted([{ tool: 'look', args: { id: 7 } }])
    await sdk.generateText({ model, tools, prompt, stopWhen })
    expect(readBy(model)).toMatchObject([{ type: 'content' }])
    expect(JSON.stringify(model.doGenerateCalls)).not.toContain('sk-live')
  })

  describe('hints', () => {
    it('are what the tool is taken for, where the rule says nothing', async () => {
      const bare = await toolsOf(version, inMemory as Where)
      governed(bare, scopes, { haldir })
      expect(bare.look.metadata.annotations).toMatchObject(HINTS)
      expect(annotations('look')).toMatchObject({
        readOnly: true,
        destructive: false,
        idempotent: true,
        openWorld: false,
      })
      // A tool without hints is what is worse.
      const worse = { readOnly: false, destructive: true, idempotent: false, openWorld: true }
      expect(annotations('remove')).toMatchObject(worse)
      expect(annotations('fail')).toMatchObject(worse)
    })

    it('yield to the rule, member by member', async () => {
      const bare = await toolsOf(version, inMemory as Where)
      const rule = { scope: 'read', annotations: { readOnly: false, openWorld: true, labels: { team: 'shop' } } }
      governed(bare, { ...scopes, look: rule }, { haldir })
      expect(annotations('look')).toMatchObject({
        readOnly: false,
        destructive: false,
        idempotent: true,
        openWorld: true,
        labels: { team: 'shop' },
      })
    })

    it('are seen by policies, by `permitted` and by `toolApproval`', async () => {
      await haldir.loadPolicy({
        default: 'deny',
        rules: [{ id: 'reads', when: { 'tool.readOnly': true }, then: 'allow' }],
      })
      const bare = await toolsOf(version, inMemory as Where)
      const free = { look: { scope: [] }, remove: { scope: [] }, fail: { scope: [] }, slow: { scope: [] } }
      const tools = governed(bare, free, { session })
      expect(Object.keys(permitted(tools, session))).toEqual(['look'])
      const ask = (toolName: string) =>
        toolApproval()({
          toolCall: { toolName, toolCallId: 'c', input: { id: 7 } },
          tools,
          toolsContext: {},
          messages: [],
        })
      expect(await ask('look')).toEqual({ type: 'not-applicable' })
      expect(await ask('remove')).toMatchObject({ type: 'denied', reason: /^Denied \(policy-denied\)/ })
    })
  })
})

describe('what a server says of a tool', () => {
  let made = 0
  const hinted = (given: unknown, rule: object = {}) => {
    const name = `hinted-${++made}`
    const bare = { inputSchema: z.object({}), execute: async () => 1, metadata: given }
    const kept = governed(bare, { name, scope: [], ...rule }, { haldir })
    return [annotations(name), kept] as const
  }
  const worse = { readOnly: false, destructive: true, idempotent: false, openWorld: true }

  it.each([
    ['no metadata', undefined],
    ['metadata that is null', null],
    ['metadata that is text', 'readOnlyHint'],
    ['no annotations', {}],
    ['annotations that are null', { annotations: null }],
    ['hints that are no yes or no', { annotations: { readOnlyHint: 'true', destructiveHint: 0, idempotentHint: {} } }],
    ['hints of a prototype', { annotations: Object.create(HINTS) }],
    ['words of ours in place of hints', { annotations: { readOnly: true, destructive: false, labels: { a: 1 } } }],
  ])('is not taken for a hint: %s', (_, metadata) => {
    expect(hinted(metadata)[0]).toEqual({ name: `hinted-${made}`, framework: 'ai-sdk', labels: {}, ...worse })
  })

  it('a hint of destruction stays beside one of reading only, and a rule that says nothing leaves it', () => {
    const annotations = { readOnlyHint: true, destructiveHint: true }
    expect(hinted({ annotations })[0]).toMatchObject({ readOnly: true, destructive: true })
    const unsaid = { annotations: { readOnly: undefined } }
    expect(hinted({ annotations: { readOnlyHint: true } }, unsaid)[0]).toMatchObject({ readOnly: true })
  })

  it('does not excuse a rule that is wrong', async () => {
    const metadata = { annotations: HINTS }
    for (const annotations of [{ readonly: true }, 'readOnly', null, { readOnly: 'yes' }]) {
      expect(await misuse(() => hinted(metadata, { annotations }))).toMatchObject({ code: 'invalid-option' })
    }
  })
})
