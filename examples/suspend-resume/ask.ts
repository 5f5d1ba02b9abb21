/** The process that the user talks to. It ends while people are still thinking. */
import { writeFileSync } from 'node:fs'
import { generateText, type ModelMessage, stepCountIs } from 'ai'
import { haldir, tools } from './haldir.ts'
import { model } from './model.ts'

const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:500'], ttl: '2d' })
const messages: ModelMessage[] = [{ role: 'user', content: 'Pay the invoice of Acme' }]
const result = await session.run(() => generateText({ model, tools, messages, stopWhen: stepCountIs(5) }))

if (result.content.some(({ type }) => type === 'tool-approval-request')) {
  // In your database. The token is what makes a process act for this session: keep it as the secret that it is.
  const kept = { token: session.token, messages: [...messages, ...result.responseMessages] }
  writeFileSync('conversation.json', JSON.stringify(kept), { mode: 0o600 })
  console.log('asked, and gone')
}

await haldir.close()
