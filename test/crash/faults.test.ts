/** Each system call that a file sink makes in its folder fails once, or is the last that its process makes. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Acknowledged, compiled, expectWholeAfterNextStart } from './acknowledged.ts'
import { leftByPowerCut } from './power-cut.ts'
import { Program, scratch } from './process.ts'
import type { RecordInput } from './programs/record.ts'
import { auditFiles, type Recorded, recorded } from './records.ts'

const STRACE = '/usr/bin/strace'
const CALLS = ['openat', 'write', 'fdatasync', 'fsync', 'link', 'ftruncate', 'unlink'] as const
type Call = (typeof CALLS)[number]
const TAKES_ROOM: readonly Call[] = ['openat', 'write', 'fdatasync', 'link']
type Fault = 'error=EIO' | 'error=ENOSPC' | 'signal=KILL'
/** How many programs run at once. */
const AT_ONCE = 3
const SIZE = 2_048

const unable = cannotTrace()
if (unable) console.info(`skipped: faults of system calls, for ${unable}`)

function cannotTrace(): string | undefined {
  if (!existsSync(STRACE)) return 'strace is not installed'
  const { status, stderr } = spawnSync(STRACE, ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', 'true'])
  return status === 0 ? undefined : `strace can not trace here: ${String(stderr).split('\n')[0]}`
}

const folder = scratch()
afterAll(folder.remove)
let env: Readonly<Record<string, string>>
let runs = 0
/** The files of a writer that is dead: the second ends in the middle of a line. */
let dead: readonly string[]

beforeAll(async () => {
  env = await compiled(folder)
  const audit = folder.path('dead')
  const input: RecordInput = { audit, sink: { rotate: { size: SIZE } }, lanes: 1, calls: 1, ids: 'dead' }
  expect(await new Program('record', input, { env }).ended).toBe(0)
  const texts = [1, 2].map((number) => readFileSync(`${audit}/audit-dead1-${number}.jsonl`, 'utf8'))
  dead = [texts[0] as string, (texts[1] as string).slice(0, -40)]
})

interface Ended {
  readonly audit: string
  readonly program: Program
  readonly end: NodeJS.Signals | number
}

/** A program that records a few calls in a folder in which somebody has died. */
async function record(durable: boolean, inject: readonly string[], log = '/dev/null'): Promise<Ended> {
  const audit = folder.path(`audit-${++runs}`)
  mkdirSync(audit)
  for (const [index, text] of dead.entries()) writeFileSync(`${audit}/audit-dead1-${index + 1}.jsonl`, text)
  const sink = { durable, rotate: { size: SIZE } }
  const input: RecordInput = { audit, sink, lanes: 2, calls: 1, ids: 'id', recovers: true }
  const under = [STRACE, '-f', '-y', '-qq', '-o', log, ...paths(audit), '-e', `trace=${CALLS.join(',')}`]
  // Without it every call of the process is stopped at, not only these. With it, strace 6.1 sends no signals.
  if (!inject.some((one) => one.includes('signal'))) under.push('--seccomp-bpf')
  for (const one of inject) under.push('-e', `inject=${one}`)
  // One thread for what is asynchronous: strace counts the calls of each thread by itself.
  const program = new Program('record', input, { under, env: { ...env, UV_THREADPOOL_SIZE: '1' } })
  return { audit, program, end: await program.ended }
}

/** Only calls on these count: the folder, and every file that may come to be in it. */
function paths(audit: string): string[] {
  const names = ['dead1-1.jsonl', 'dead1-2.jsonl', 'dead1.lock']
  for (let id = 1; id <= 24; id++) {
    names.push(`id${id}.lock`, `id${id}.lock.new`, ...[1, 2, 3, 4, 5].map((number) => `id${id}-${number}.jsonl`))
  }
  return ['-P', audit, ...names.flatMap((name) => ['-P', `${audit}/audit-${name}`])]
}

/** How often each call is made when nothing fails. */
async function countCalls(durable: boolean): Promise<{ counts: Map<Call, number>; first: string }> {
  const log = folder.path(`calls-${durable}`)
  const { audit, end } = await record(durable, [], log)
  expect(end).toBe(0)
  const entries = await expectWholeAfterNextStart(audit)
  const [first] = entries.flatMap(({ writer }) => (/^id\d+$/.test(writer) ? [writer] : []))
  const counts = new Map<Call, number>()
  for (const [, name] of readFileSync(log, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)) {
    counts.set(name as Call, (counts.get(name as Call) ?? 0) + 1)
  }
  return { counts, first: first as string }
}

interface Case {
  readonly call: Call
  readonly fault: Fault
  readonly n: number
  /** The last such call of the program: nothing comes after it that could tell. */
  readonly last: boolean
}

function casesOf(counts: ReadonlyMap<Call, number>): Case[] {
  return [...counts].flatMap(([call, count]) =>
    (['error=EIO', 'error=ENOSPC', 'signal=KILL'] as const)
      // What takes no room can't lack it.
      .filter((fault) => fault !== 'error=ENOSPC' || TAKES_ROOM.includes(call))
      .flatMap((fault) =>
        Array.from({ length: count }, (_, index) => ({ call, fault, n: index + 1, last: index + 1 === count })),
      ),
  )
}

describe('a system call that fails', { timeout: 480_000 }, () => {
  it.skipIf(unable).each([
    { mode: 'default', durable: false },
    { mode: 'durable', durable: true },
  ])('loses no acknowledged entry and leaves a trail that verifies: $mode', async ({ mode, durable }) => {
    proves('trail-survives', 'invariant-1', 'invariant-6', 'every-call-logged')
    const { counts, first } = await countCalls(durable)
    const cases = casesOf(counts)
    const totals = { cases: cases.length, refused: 0, ended: 0, killed: 0 }
    const work = cases.values()
    const lane = async () => {
      for (const one of work) {
        const { refused, ended } = await run(durable, one, first)
        totals.refused += Number(refused)
        totals.ended += Number(ended)
        totals.killed += Number(one.fault === 'signal=KILL')
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    console.info(`${mode}: ${JSON.stringify(totals)}`)
    expect(totals.refused).toBeGreaterThan(5)
  })
})

async function run(durable: boolean, one: Case, first: string): Promise<{ refused: boolean; ended: boolean }> {
  const { call, fault, n, last } = one
  const cut = durable && fault === 'signal=KILL'
  const log = cut ? folder.path(`log-${call}-${n}`) : '/dev/null'
  const { audit, program, end } = await record(durable, [`${call}:${fault}:when=${n}`], log)
  const acknowledged = new Acknowledged().hear(program.lines)
  const about = JSON.stringify(one)
  acknowledged.expectIn(recorded(audit))
  // The machine might have died with the process.
  if (cut) acknowledged.expectIn(leftByPowerCut(log, audit))
  const entries = await expectWholeAfterNextStart(audit)
  acknowledged.expectIn(entries)
  // Of one that ended before its first line was accepted nothing is left, but for the number of the one after it.
  const writers = auditFiles(audit).flatMap((name) => /^audit-(id\d+)-/.exec(name)?.[1] ?? [])
  const ended = writers.some((writer) => writer !== first)
  const refused = acknowledged.refused > 0
  if (fault === 'signal=KILL') expect(end, about).toBe('SIGKILL')
  else {
    // The process lives, and goes on once nothing fails any more.
    expect({ end, said: program.lines.slice(-2) }, about).toEqual({ end: 0, said: ['waiting 0', 'closed'] })
    const lost = call === 'fdatasync' || (call === 'write' && fault === 'error=EIO')
    // The first write is the lock's: there is no chain yet.
    const tells = !last && !(call === 'write' && n === 1)
    if (tells) expect(ended, about).toBe(lost)
    if (ended) expectSuccession(entries)
  }
  return { refused, ended }
}

/** Every writer but the first names the one before it, as far as that was accepted. */
function expectSuccession(entries: readonly Recorded[]): void {
  const own = entries.filter(({ writer }) => /^id\d+$/.test(writer))
  for (const { type, data } of own) {
    const after = type === 'writer-opened' ? (data.after as { writer: string; entries: number } | undefined) : undefined
    if (after) expect(own.filter(({ writer }) => writer === after.writer)).toHaveLength(after.entries)
  }
}
