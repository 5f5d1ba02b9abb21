/** No cliff, no leak: the same session after ten thousand calls, and after a million. */
import { createSecretKey, randomBytes } from 'node:crypto'
import { byHand } from './floor.ts'
import { block, compare, type Figures, ratio, type Subject } from './measure.ts'
import { charge, orderAt } from './orders.ts'
import { chargeTool, house } from './subjects.ts'
import { toMemory } from './trails.ts'

export interface Steady {
  readonly windows: readonly { readonly after: number; readonly figures: Figures; readonly overFloor: number }[]
  /** How much the heap grew from the first call to the last, in megabytes, after collecting garbage. */
  readonly grownMb: number
}

const WINDOW = 10_000

/** Makes `calls` calls in one session; measures 10,000 of them at the start, after 10,000 and at the end. */
export async function steady(calls: number, progress: (done: number) => void): Promise<Steady> {
  const { within, close } = await house()
  const call = chargeTool()
  const subject: Subject = { name: 'whole call', call: (index) => call(orderAt(index)), within }
  const key = createSecretKey(randomBytes(32))
  const hand = byHand({ tool: charge, write: toMemory(), key, priced: true })
  const floor: Subject = { name: 'floor', call: (index) => hand(orderAt(index)) }

  const windows: { after: number; figures: Figures; overFloor: number }[] = []
  let made = 0
  const before = heap()
  for (const after of [0, WINDOW, calls]) {
    const rest = new Float64Array(1_000)
    for (; made < after; made += rest.length) {
      await block(subject, rest)
      progress(made / calls)
    }
    const [figures, beside] = await compare([subject, floor], { rounds: 40, size: WINDOW / 40, warmUp: 0 })
    windows.push({ after, figures: figures as Figures, overFloor: ratio(figures as Figures, beside as Figures) })
    made += WINDOW
  }
  const grownMb = (heap() - before) / 1e6
  await close()
  return { windows, grownMb }
}

function heap(): number {
  const { gc } = globalThis as { gc?: () => void }
  if (!gc) throw new Error('run with --expose-gc')
  gc()
  gc()
  return process.memoryUsage().heapUsed
}
