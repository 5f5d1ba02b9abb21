/** A user's agent, only ever type-checked: with the compilers, resolutions and AI SDKs that users have. */
import { governed, type MeterableModel, meterModel } from '@haldir/ai-sdk'
import {
  ConfigError,
  createHaldir,
  currentCall,
  Denied,
  type Entry,
  governed as governedFunction,
  type Policy,
  type Session,
  usd,
} from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { generateText, stepCountIs, tool } from 'ai'
import { z } from 'zod'

declare const model: MeterableModel

const policy: Policy = {
  name: 'orders',
  default: 'deny',
  rules: [{ id: 'read', tools: ['search'], then: 'allow' }],
}
const haldir = createHaldir({ store: sqliteStore('haldir.db'), sinks: [fileSink('audit')], policy })

const charge = tool({
  description: 'Charge a card',
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ charged: amount }),
})
const search = tool({
  description: 'Find orders',
  inputSchema: z.object({ of: z.string() }),
  async *execute({ of }) {
    yield { found: of.length }
  },
})

const tools = governed(
  { charge, search },
  {
    charge: {
      scope: 'spend',
      cost: ({ amount }) => usd(amount),
      actual: ({ charged }) => usd(charged),
      secrets: ['stripe_key'],
    },
    search: { scope: 'read' },
  },
  { haldir },
)
export const same: { charge: typeof charge; search: typeof search } = tools

// The rules see the tool's own types.
governed({ charge }, { charge: { scope: 'spend', cost: (args: { amount: number }) => usd(args.amount) } })
// @ts-expect-error the tool has no such argument
governed({ charge }, { charge: { scope: 'spend', cost: ({ amuont }) => usd(amuont) } })
// @ts-expect-error every key needs a rule
governed({ charge, search }, { charge: { scope: 'read' } })

const refund = governedFunction(
  async ({ order }: { order: string }) => {
    currentCall().spent(usd('1.25'))
    return order.length
  },
  { name: 'refund', scope: 'spend', cost: () => usd(5) },
)
export const kept: (args: { order: string }) => Promise<number> = refund

export async function answer(prompt: string): Promise<string> {
  const session: Session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:50'], ttl: '1h' })
  try {
    const metered = meterModel(model, { prices: { '*': { input: 1.25, output: 10 } } })
    const { text } = await session.run(() => generateText({ model: metered, tools, prompt, stopWhen: stepCountIs(5) }))
    return text
  } catch (error) {
    if (Denied.isInstance(error)) return `${error.code} ${error.retryable}`
    if (ConfigError.isInstance(error)) return error.path
    throw error
  }
}

export async function history(): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of haldir.trail.query({ agent: 'order-bot' })) entries.push(entry)
  return entries
}
