/** Any process, hours later: woken by `haldir.approvals.onDecided`, by a queue, or by the user who comes back. */
import { readFileSync } from 'node:fs'
import { approvalResponses } from '@haldir/ai-sdk'
import { generateText, type ModelMessage, stepCountIs } from 'ai'
import { haldir, tools } from './haldir.ts'
import { model } from './model.ts'

const { token, messages }: { token: string; messages: ModelMessage[] } = JSON.parse(
  readFileSync('conversation.json', 'utf8'),
)
const session = await haldir.attach(token)
const answers = await approvalResponses(messages, { session })

if (answers) {
  const { text } = await session.run(() =>
    generateText({ model, tools, messages: [...messages, answers], stopWhen: stepCountIs(5) }),
  )
  console.log(text)
} else console.log('nobody has decided yet')

await haldir.close()
