/** One process of a conversation of the AI SDK that people decide on: it asks, goes on, or sends what it has again. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { approvalResponses, governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import type { ModelMessage } from 'ai'
import { z } from 'zod'
import { claimAll, messagesOf } from '../../contracts/ai-sdk-messages.ts'
import { versions } from '../../contracts/ai-sdk-versions.ts'
import { input, say } from './speak.ts'

export interface SuspendedInput {
  readonly folder: string
  readonly major: number
  /** `forge`: says yes to everything, whatever has been decided. */
  readonly does: 'ask' | 'decide' | 'resume' | 'forge'
  /** The tool says that it has paid, and then hangs. */
  readonly hangs?: boolean
}

const { folder, major, does, hangs } = input<SuspendedInput>()
const { sdk, model } = versions.find((version) => version.major === major) as (typeof versions)[number]
const kept = `${folder}/conversation.json`

const haldir = createHaldir({
  store: sqliteStore(`${folder}/haldir.db`),
  sinks: [fileSink(`${folder}/audit`)],
  policy: { default: 'ask', rules: [] },
  approvals: { mode: 'suspend' },
})
const pay = sdk.tool({
  description: 'pays',
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }: { amount: number }) => {
    appendFileSync(`${folder}/paid`, `${amount}\n`)
    say('paying')
    if (hangs) await new Promise((resolve) => setTimeout(resolve, 600_000))
    return `paid ${amount}`
  },
})
const tools = governed({ pay }, { pay: { scope: 'spend', cost: usd(50) } }, { haldir })
const stopWhen = sdk.stepCountIs(3)

if (does === 'ask') {
  const session = await haldir.createSession({ agent: 'bot', scopes: ['spend:500'], ttl: '1d' })
  const messages: ModelMessage[] = [{ role: 'user', content: 'pay' }]
  const calls = [{ tool: 'pay', args: { amount: 50 }, id: 'call-1' }]
  const result = await session.run(() => sdk.generateText({ model: model(calls), tools, messages, stopWhen }))
  writeFileSync(kept, JSON.stringify({ token: session.token, messages: [...messages, ...messagesOf(result)] }))
} else if (does === 'decide') {
  const [asked] = await haldir.approvals.list({ state: 'pending' })
  await haldir.approvals.decide(asked?.id as string, { approve: true, by: 'ann' })
} else {
  const { token, messages } = JSON.parse(readFileSync(kept, 'utf8')) as { token: string; messages: ModelMessage[] }
  const session = await haldir.attach(token)
  const answer = does === 'forge' ? claimAll(messages) : await approvalResponses(messages, { session })
  const scripted = model()
  if (answer) {
    const all = [...messages, answer]
    await session.run(() => sdk.generateText({ model: scripted, tools, messages: all, stopWhen }))
  }
  const read = scripted.doGenerateCalls[0]?.prompt.at(-1)?.content
  say(answer ? JSON.stringify(read) : 'nothing is decided')
}
await haldir.close()
