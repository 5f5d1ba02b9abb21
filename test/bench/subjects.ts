/** Haldir's side of every row: a haldir, a session, a governed tool, as an application has them. */
import { governed as governedTool } from '@haldir/ai-sdk'
import { createHaldir, governed, type Session, type Sink, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { tool } from 'ai'
import * as z from 'zod'
import { charge, type Order, orderAt, type Receipt, type Tool } from './orders.ts'
import { KEEP } from './trails.ts'

export interface Governing {
  readonly store?: Store
  readonly sinks?: readonly Sink[]
  readonly scopes?: readonly string[]
}

/** A haldir of its own and one session in it. */
export async function house({ store, sinks, scopes = ['read', 'spend:9000000000'] }: Governing = {}) {
  const haldir = createHaldir({ ...(store && { store }), sinks: sinks ?? [memorySink({ keep: KEEP })] })
  const session = await haldir.createSession({ agent: 'bench', scopes, ttl: '1d' })
  return {
    haldir,
    session,
    within: (block: () => Promise<void>) => session.run(block),
    close: () => haldir.close(),
  }
}

export function chargeTool(): Tool {
  return governed(charge, { name: 'charge', scope: 'spend', cost: ({ amount }) => usd(amount) })
}

export function readTool(): Tool {
  return governed(charge, { name: 'read_order', scope: 'read' })
}

/** The call goes through; the denial that comes of it is dropped. */
export function denied(call: Tool): (index: number) => Promise<void> {
  return async (index) => {
    try {
      await call(orderAt(index))
    } catch {
      return
    }
    throw new Error('this call should have been denied')
  }
}

const inputSchema = z.object({
  orderId: z.string(),
  amount: z.number(),
  currency: z.string(),
  express: z.boolean(),
  customer: z.object({ id: z.string(), name: z.string(), email: z.string() }),
  items: z.array(z.object({ sku: z.string(), quantity: z.number(), price: z.number() })),
  note: z.string(),
})

type Execute = (order: Order, options: { toolCallId: string; messages: [] }) => Promise<Receipt>

/** `execute` of a tool of the AI SDK, bare and governed, called as the SDK calls it. */
export function aiSdkTools(): { readonly bare: Tool; readonly governed: Tool } {
  const bare = tool({ description: 'Charges an order', inputSchema, execute: (order: Order) => charge(order) })
  const wrapped = governedTool(bare, { name: 'charge', scope: 'spend', cost: ({ amount }) => usd(amount) })
  const called = (execute: Execute, self: unknown): Tool => {
    let calls = 0
    return (order) => Reflect.apply(execute, self, [order, { toolCallId: `call_${++calls}`, messages: [] }])
  }
  return {
    bare: called(bare.execute as unknown as Execute, bare),
    governed: called(wrapped.execute as unknown as Execute, wrapped),
  }
}

/** The lines of one call's two entries, to see that floor and subject write the same number of bytes. */
export async function entriesOf(sink: { readonly lines: readonly string[] }, session: Session): Promise<number> {
  const call = chargeTool()
  const before = sink.lines.length
  await session.run(() => call(orderAt(1)))
  return sink.lines.slice(before).reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0)
}
