/**
 * `npm run bench`: what a governed call costs, beside the same bytes of work by hand, in one run on one machine. Runs
 * against the built packages. It reports and judges nothing: it ends with 0 whatever it finds. `-- --quick` takes a
 * tenth of the timings, `-- --frameworks` those of the frameworks alone, `-- stores` the stores of many machines alone.
 */
import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSigningKey, envSigner } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { durable } from './durable.ts'
import { byHand, naive, type Transactions, type Write } from './floor.ts'
import { bareTransactions } from './floor-sqlite.ts'
import { FRAMEWORKS } from './frameworks/all.ts'
import type { FrameworkBench } from './frameworks/framework.ts'
import { above, compare, type Figures, type Plan, ratio, type Subject } from './measure.ts'
import { charge, orderAt, type Tool } from './orders.ts'
import { steady } from './steady.ts'
import { stores } from './stores.ts'
import { chargeTool, denied, entriesOf, house, readTool } from './subjects.ts'
import { type Claim, closing, columnNames, heading, note, number, progressOf, row } from './table.ts'
import { toFile, toMemory } from './trails.ts'
import { verifying } from './verifying.ts'

const flag = { type: 'boolean', default: false } as const
const { values, positionals } = parseArgs({ options: { quick: flag, frameworks: flag }, allowPositionals: true })
const { quick, frameworks: only } = values
const directory = mkdtempSync(join(tmpdir(), 'haldir-bench-'))
const { signingKey } = createSigningKey('bench.example/haldir')
const signer = envSigner('KEY', { env: { KEY: signingKey } })
const key = createSecretKey(randomBytes(32))
const plan: Plan = { rounds: quick ? 40 : 120, size: 250, warmUp: quick ? 10_000 : 20_000 }
const claims: Claim[] = []

const NOTES = `
Every call is timed by itself with performance.now() (about 0.05 µs, in every figure); bare tools in
batches of 100, so their p99 is that of a batch. What is compared takes turns in blocks of 250 calls
(100 with SQLite); a ratio is the median, over the rounds, of one block's p50 over the other's.
Floor: snapshot by descriptors, sorted JSON, one HMAC, a copy for the tool, AsyncLocalStorage.run,
two chained entries with the same members, the write. Naive: plain JSON, two chained entries, the
write. A denied call stands beside an allowed one. Frameworks: what governing
adds to the same call of the bare tool; to a whole run with a model that answers at once, as a share of
one step of it; × floor: of what the floor adds there. Durable:
microseconds of a flight of 64 lanes, over its calls. A bar is a target; missing one fails nothing.`

try {
  await main()
} finally {
  rmSync(directory, { recursive: true, force: true })
}

async function main(): Promise<void> {
  const { platform, arch, version } = process
  heading(`Haldir bench · Node ${version} · ${platform} ${arch}, ${availableParallelism()} processors`)
  if (positionals.includes('stores')) {
    await stores(quick, claim)
    closing(claims.filter(({ met }) => met).length, claims.length)
    return
  }
  if (only) {
    columnNames()
    await frameworks()
  } else await everything()
  closing(claims.filter(({ met }) => met).length, claims.length)
  note(NOTES)
}

async function everything(): Promise<void> {
  await sameBytes()
  columnNames()
  await memoryTrail()
  await fileTrail()
  await durableTrail()
  await sqlite()
  await otherCalls()
  await frameworks()
  await overTime()
  await verification()
}

/** The floor is one only if it writes as much as Haldir does. */
async function sameBytes(): Promise<void> {
  const lines: string[] = []
  await byHand({ tool: charge, write: (text) => lines.push(text), key, priced: true })(orderAt(1))
  const sink = memorySink()
  const { session, close } = await house({ sinks: [sink] })
  const haldir = await entriesOf(sink, session)
  await close()
  const floor = Buffer.byteLength(lines.join(''))
  const args = Buffer.byteLength(JSON.stringify(orderAt(1)))
  note(`Arguments of ${args} bytes; a call's two entries are ${floor} bytes by hand, ${haldir} bytes in Haldir.`)
}

async function memoryTrail(): Promise<void> {
  const { within, close } = await house()
  const [bare, plain, floor, whole] = await measure('calls with a memory trail', [
    { ...subject('bare async tool', charge), batch: 100 },
    subject('naive floor, memory', naive(charge, toMemory())),
    subject('floor, memory', floorOf(toMemory())),
    { ...subject('whole call: memory store, memory trail', chargeTool()), within },
  ])
  await close()
  show(bare)
  show(plain)
  show(floor)
  show(whole, [atMost(whole, floor, 'floor', 1.5), atMost(whole, plain, 'naive', 3)])
}

async function fileTrail(): Promise<void> {
  const { within, close } = await house({ sinks: [fileSink(join(directory, 'calls'))] })
  const signed = await house({ sinks: [fileSink(join(directory, 'signed'))], checkpoints: { signer } })
  const files = [toFile(join(directory, 'naive.jsonl')), toFile(join(directory, 'floor.jsonl'))] as const
  const [plain, floor, whole, checkpoints] = await measure('calls with a file trail', [
    subject('naive floor, file', naive(charge, files[0].write)),
    subject('floor, file', floorOf(files[1].write)),
    { ...subject('whole call: memory store, file trail', chargeTool()), within },
    { ...subject('the same, with checkpoints', chargeTool()), within: signed.within },
  ])
  await close()
  await signed.close()
  for (const file of files) file.close()
  show(plain)
  show(floor)
  show(whole, [atMost(whole, floor, 'floor', 1.5), atMost(whole, plain, 'naive', 3)])
  show(checkpoints, [atMost(checkpoints, floor, 'floor', 1.5)])
}

/** Bound by the disk: the bar is set against committing the same bytes and nothing else. */
async function durableTrail(): Promise<void> {
  const lines: string[] = []
  await byHand({ tool: charge, write: (text) => lines.push(text), key, priced: true })(orderAt(1))
  const { at, end } = progressOf('calls with a durable trail')
  const [bare, whole] = await durable(directory, lines as [string, string], { rounds: plan.rounds }, at)
  end()
  show(bare)
  show(whole, [atMost(whole, bare, 'bare', 2)])
}

async function sqlite(): Promise<void> {
  const store = sqliteStore(join(directory, 'haldir.db'))
  const { within, close } = await house({ store, sinks: [fileSink(join(directory, 'sqlite'))] })
  const transactions = bareTransactions(join(directory, 'floor.db'))
  const file = toFile(join(directory, 'sqlite.jsonl'))
  const slower = { ...plan, size: 100, warmUp: plan.warmUp / 4 }
  const [floor, whole] = await measure(
    'calls with the SQLite store',
    [
      subject('floor + two bare transactions, file', floorOf(file.write, true, charge, transactions)),
      { ...subject('whole call: SQLite store, file trail', chargeTool()), within },
    ],
    slower,
  )
  await close()
  transactions.close()
  file.close()
  show(floor)
  show(whole, [atMost(whole, floor, 'floor', 1.5)])
}

async function otherCalls(): Promise<void> {
  const free = await house()
  const [floor, read] = await measure('calls without a cost', [
    subject('floor without amounts, memory', floorOf(toMemory(), false)),
    { ...subject('read-only tool, no cost, memory', readTool()), within: free.within },
  ])
  await free.close()
  show(floor)
  show(read, [atMost(read, floor, 'floor', 1.5)])

  const rich = await house()
  const poor = await house({ scopes: ['spend:1'] })
  const [allowed, refused] = await measure('denied calls', [
    { ...subject('allowed', chargeTool()), within: rich.within },
    { name: 'denied call (budget), memory', call: denied(chargeTool()), within: poor.within },
  ])
  await rich.close()
  await poor.close()
  show(refused, [atMost(refused, allowed, 'allowed', 1)])
}

/** Each framework's own way to a tool, and around it: the same call without Haldir. */
async function frameworks(): Promise<void> {
  for (const { name, way, bare, governed, loop } of FRAMEWORKS.map((make) => make())) {
    if (!governed) {
      const [without] = await measure(`${name} tool calls`, [subject(`${name}, bare \`${way}\``, bare)])
      show(without)
      row(`${name}, governed \`${way}\``, [], [{ found: 'not there' }])
      continue
    }
    const one = await house()
    const [without, floor, whole] = await measure(`${name} tool calls`, [
      subject(`${name}, bare \`${way}\``, bare),
      subject('floor, memory', floorOf(toMemory())),
      { ...subject(`${name}, governed \`${way}\``, governed), within: one.within },
    ])
    await one.close()
    show(without)
    show(whole, [moreThan(whole, without, 15), atMostAdded(above(whole, without), above(floor), 1.5)])
    if (loop) await frameworkLoop(name, loop)
  }
}

async function frameworkLoop(name: string, loop: NonNullable<FrameworkBench['loop']>): Promise<void> {
  const { within, close } = await house()
  const [bare, floor, run] = await measure(
    `${name} loops`,
    [
      subject(`${name}, loop of two steps, bare`, loop.bare),
      subject(`${name}, loop of two steps, floor`, loop.around(floorOf(toMemory()))),
      { ...subject(`${name}, loop of two steps, governed`, loop.governed), within },
    ],
    { rounds: plan.rounds, size: 20, warmUp: plan.warmUp / 5 },
  )
  await close()
  show(bare)
  show(floor)
  show(run, [share(run, bare, 2, 5), atMostAdded(above(run, bare), above(floor, bare), 1.5)])
}

async function overTime(): Promise<void> {
  const calls = quick ? 200_000 : 1_000_000
  const { at, end } = progressOf(`${number(calls)} calls in one session`)
  const { windows, grownMb } = await steady(calls, at)
  end()
  const [first, ...later] = windows
  if (!first) return
  row('first 10,000 calls of a session', numbers(first.figures))
  for (const { after, figures, overFloor } of later) {
    // Each is set against the floor of its own moment: the machine may have changed meanwhile.
    const found = overFloor / first.overFloor
    row(`10,000 calls after ${number(after)}`, numbers(figures), [
      claim(`${number(found)} × first`, '≤ 1.2', found <= 1.2),
    ])
  }
  row(`heap, grown over ${number(calls)} calls`, [], [claim(`${number(grownMb)} MB`, '< 20', grownMb < 20)])
}

async function verification(): Promise<void> {
  const trail = join(directory, 'verify')
  mkdirSync(trail)
  const { at, end } = progressOf('the verification of a trail')
  const { entries, verify, floor, overFloor } = await verifying(trail, quick ? 20_000 : 100_000, 5, at)
  end()
  heading(`verifyFiles over ${number(entries)} entries, in entries/s`)
  row('reading and hashing alone', ['', '', number(floor)])
  row('verifyFiles', ['', '', number(verify)], [{ found: `${number(overFloor)} × floor` }])
}

function subject(name: string, call: Tool<unknown>): Subject {
  return { name, call: (index) => call(orderAt(index)) }
}

function floorOf(write: Write, priced = true, tool: Tool = charge, transactions?: Transactions): Tool {
  return byHand({ tool, write, key, priced, ...(transactions && { transactions }) })
}

async function measure<const S extends readonly Subject[]>(
  what: string,
  subjects: S,
  how: Plan = plan,
): Promise<{ [K in keyof S]: Figures }> {
  const { at, end } = progressOf(what)
  const figures = await compare(subjects, how, at)
  end()
  return figures as { [K in keyof S]: Figures }
}

function show(figures: Figures, found: readonly Claim[] = []): void {
  row(figures.name, numbers(figures), found)
}

function numbers({ p50, p99, perSecond }: Figures): string[] {
  return [p50, p99, perSecond].map(number)
}

function atMost(figures: Figures, floor: Figures, name: string, bar: number): Claim {
  const found = ratio(figures, floor)
  return claim(`${found.toFixed(2)} × ${name}`, `≤ ${bar}`, found <= bar)
}

function moreThan(figures: Figures, bare: Figures, bar: number): Claim {
  const found = above(figures, bare)
  return claim(`+ ${number(found)} µs`, `≤ ${bar}`, found <= bar)
}

function atMostAdded(added: number, floor: number, bar: number): Claim {
  const found = added / floor
  return claim(`${found.toFixed(2)} × floor`, `≤ ${bar}`, found <= bar)
}

/** What governing adds to a run, as a share of one of its steps. */
function share(figures: Figures, bare: Figures, steps: number, bar: number): Claim {
  const found = (ratio(figures, bare) - 1) * steps * 100
  return claim(`+ ${number(found)} %`, `≤ ${bar} %`, found <= bar)
}

function claim(found: string, bar: string, met: boolean): Claim {
  const made = { found, bar, met }
  claims.push(made)
  return made
}
