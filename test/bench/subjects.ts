/** Haldir's side of every row: a haldir, a session, a governed tool, as an application has them. */
import { createHaldir, governed, type HaldirOptions, type Session, type Sink, type Store, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { charge, orderAt, type Tool } from './orders.ts'
import { KEEP } from './trails.ts'

export interface Governing {
  readonly store?: Store
  readonly sinks?: readonly Sink[]
  readonly scopes?: readonly string[]
  readonly checkpoints?: HaldirOptions['checkpoints']
}

/** A haldir of its own and one session in it. */
export async function house({ store, sinks, checkpoints, scopes = ['read', 'spend:9000000000'] }: Governing = {}) {
  const haldir = createHaldir({
    ...(store && { store }),
    ...(checkpoints && { checkpoints }),
    sinks: sinks ?? [memorySink({ keep: KEEP })],
  })
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

/** The lines of one call's two entries, to see that floor and subject write the same number of bytes. */
export async function entriesOf(sink: { readonly lines: readonly string[] }, session: Session): Promise<number> {
  const call = chargeTool()
  const before = sink.lines.length
  await session.run(() => call(orderAt(1)))
  return sink.lines.slice(before).reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0)
}
