/** A disk that is really full, and files that may not become larger: calls are refused, and go on when there is room. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Acknowledged, compiled, expectWholeAfterNextStart } from './acknowledged.ts'
import { Program, pause, scratch, skipped } from './process.ts'
import type { RecordInput } from './programs/record.ts'
import { auditFiles, recorded } from './records.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** Mounts a file system of so many KB; answers why it can't. */
function mount(directory: string, kilobytes: number): string | undefined {
  mkdirSync(directory)
  const made = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'haldir-test', directory])
  if (made.status !== 0) return String(made.stderr ?? made.error).trim()
  cleanup.push(() => spawnSync('umount', [directory]))
  return undefined
}

/**
 * No line is broken in the middle of any file, while the writer lives and stands before a full disk. It tries again and
 * again: whoever looks between a write that was cut short and its being taken back looks once more.
 */
async function expectWholeLines(audit: string): Promise<void> {
  for (const name of auditFiles(audit)) {
    const whole = () => {
      const text = readFileSync(`${audit}/${name}`, 'utf8')
      return text === '' || text.endsWith('\n')
    }
    for (let looks = 1; !whole(); looks++) {
      expect(looks, name).toBeLessThan(100)
      await pause(3)
    }
  }
}

const MODES = [
  { mode: 'default', durable: false },
  { mode: 'durable', durable: true },
]

describe('a disk that is full', { timeout: 120_000 }, () => {
  it.for(MODES)('refuses calls, and takes them again when there is room: $mode', async ({ durable }, context) => {
    proves('trail-survives', 'invariant-1', 'invariant-6')
    const folder = scratch()
    cleanup.push(folder.remove)
    const disk = folder.path('disk')
    const unable = mount(disk, 1_536)
    if (unable) return skipped(context, `no file system can be mounted here: ${unable}`)
    const audit = `${disk}/audit`
    const input: RecordInput = { audit, sink: { durable, rotate: { size: '16KB' } }, lanes: 2 }
    const env = await compiled(folder)
    writeFileSync(`${disk}/ballast`, Buffer.alloc(1_474_560))
    const program = new Program('record', input, { env })
    cleanup.push(() => program.kill())

    await program.said('refused', 50)
    const ran = () => program.lines.filter((line) => line.startsWith('begun')).length
    const before = ran()
    await expectWholeLines(audit)
    await program.said('refused', 100)
    // Not one call has run meanwhile.
    expect(ran()).toBe(before)
    rmSync(`${disk}/ballast`)
    await program.said('begun', before + 10)
    await program.kill()

    const acknowledged = new Acknowledged().hear(program.lines)
    acknowledged.expectIn(recorded(audit))
    // All by one writer, in one chain that was never broken.
    expect(new Set(recorded(audit).map(({ writer }) => writer)).size).toBe(1)
    spawnSync('mount', ['-o', 'remount,size=64m', disk])
    acknowledged.expectIn(await expectWholeAfterNextStart(audit))
  })

  it.for(MODES)('is one whose files may not become larger, too: $mode', async ({ durable }, context) => {
    if (!existsSync('/usr/bin/prlimit'))
      return skipped(context, 'only `prlimit`, which Linux has, limits the size of files')
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const env = await compiled(folder)
    const program = new Program('record', { audit, sink: { durable, rotate: false }, lanes: 2 } satisfies RecordInput, {
      under: ['/usr/bin/prlimit', '--fsize=20000:unlimited'],
      env,
    })
    cleanup.push(() => program.kill())
    await program.said('refused', 50)
    await expectWholeLines(audit)
    expect(new Set(recorded(audit).map(({ writer }) => writer)).size).toBe(1)
    const ran = program.lines.filter((line) => line.startsWith('begun')).length
    // From outside, as an administrator would.
    spawnSync('/usr/bin/prlimit', ['--pid', String(program.pid), '--fsize=unlimited:unlimited'])
    await program.said('begun', ran + 10)
    await program.kill()
    const acknowledged = new Acknowledged().hear(program.lines)
    acknowledged.expectIn(recorded(audit))
    acknowledged.expectIn(await expectWholeAfterNextStart(audit))
  })

  it('ends a writer whose half line can not be taken back', async (context) => {
    if (!existsSync('/usr/bin/strace') || spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status !== 0) {
      return skipped(context, 'strace can not trace here')
    }
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const input: RecordInput = { audit, sink: { rotate: false }, lanes: 2, calls: 40, ids: 'id', recovers: true }
    const strace = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=ftruncate']
    const program = new Program('record', input, {
      under: ['/usr/bin/prlimit', '--fsize=20000:unlimited', ...strace, '-e', 'inject=ftruncate:error=EIO:when=1+'],
      env: await compiled(folder),
    })
    expect(await program.ended).toBe(0)
    const acknowledged = new Acknowledged().hear(program.lines)
    acknowledged.expectIn(recorded(audit))
    // The next line did not follow the half one, but began another chain.
    const broken = auditFiles(audit).filter((name) => !readFileSync(`${audit}/${name}`, 'utf8').endsWith('\n'))
    expect(broken.length).toBeGreaterThan(0)
    expect(recorded(audit).some(({ type, data }) => type === 'writer-opened' && data.after)).toBe(true)
    const entries = await expectWholeAfterNextStart(audit)
    acknowledged.expectIn(entries)
    expect(entries.filter(({ type }) => type === 'recovery').map(({ data }) => data.file)).toEqual(
      expect.arrayContaining(broken),
    )
  })
})
