/** A version of the Agents SDK whose `tool()` works in another way: then nothing of its inside is relied on. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { RunContext, tool } from '@openai/agents'
import { expect, it, vi } from 'vitest'

vi.mock('@openai/agents', async (original) => {
  const sdk = await original<typeof import('@openai/agents')>()
  return {
    ...sdk,
    tool: (options: { execute: (args: unknown) => unknown }) => ({
      ...sdk.tool(options as never),
      // Runs at once, and calls nobody back.
      invoke: async (_: unknown, text: string) => options.execute(text === '' ? {} : JSON.parse(text)),
    }),
  }
})

it('runs nothing when a tool is wrapped, and each call once, through the gate', async () => {
  const haldir = createHaldir({ sinks: [memorySink()] })
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:5'] })
  const ran: unknown[] = []
  const parameters = {
    type: 'object' as const,
    properties: { amount: { type: 'number' as const } },
    required: ['amount'],
    additionalProperties: false as const,
  }
  const pay = tool({
    name: 'pay',
    description: '',
    parameters,
    execute: async (args) => void ran.push(args) as never,
  })
  const cost = ({ amount }: any) => usd(amount)
  const wrapped = governed(pay, { name: 'pay', scope: 'spend', cost }, { session })
  expect(ran).toEqual([])
  for (const text of ['{"amount":"1"}', '{"amount":9}', '""']) {
    expect(await wrapped.invoke(new RunContext({}), text)).toMatch(/^Denied \((invalid-arguments|budget-exceeded)\): /)
  }
  expect(ran).toEqual([])
  await wrapped.invoke(new RunContext({}), '{"amount":2}')
  expect(ran).toEqual([{ amount: 2 }])
  await haldir.close()
})
