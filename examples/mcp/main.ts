/**
 * An agent with the tools of an MCP server. Which tools there are is learned from the server, so the rule for each is
 * made from its name; what the server says a tool does is a default for policies, and the developer's word beats it.
 */
import { createMCPClient } from '@ai-sdk/mcp'
import { governed, permitted, toolApproval } from '@haldir/ai-sdk'
import { createHaldir } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { generateText, stepCountIs } from 'ai'
import { model } from './model.ts' // yours; here one that says what it was told to
import { startShop } from './server.ts'

const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'deny',
    rules: [
      { id: 'reading', when: { 'tool.readOnly': true }, then: 'allow' },
      { id: 'small-refunds', tools: 'refund', when: { 'args.amount': { lte: 20 } }, then: 'allow' },
    ],
  },
})
const session = await haldir.createSession({ agent: 'support-bot', scopes: ['shop'] })
const client = await createMCPClient({ transport: (await startShop()) as never })

// #region readme
const found = await client.tools()
const rules = Object.fromEntries(Object.keys(found).map((name) => [name, { scope: `shop:${name}` }]))
const tools = governed(found, {
  ...rules,
  export_all: { scope: 'shop:export', annotations: { readOnly: false } }, // the server says that it only reads
})

const { text } = await session.run(() =>
  generateText({
    model,
    tools: permitted(tools, session), // what the session can't use at all, the model is not shown
    toolApproval: toolApproval(), // AI SDK 7: a denied call is `execution-denied`, also in the browser
    stopWhen: stepCountIs(5),
    prompt: 'Refund order 7',
  }),
)
// #endregion readme

console.log('told of', model.doGenerateCalls[0]?.tools?.map(({ name }) => name).join(', '))
for await (const { type, tool, code } of haldir.trail.query({})) {
  if (type === 'outcome' || type === 'refusal') console.log(tool, code ?? 'ran')
}
console.log(text)

await client.close()
await haldir.close()
