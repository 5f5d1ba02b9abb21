/** A conversation of the AI SDK that real processes suspend and resume, and some of them die with: it pays once. */
import { existsSync, readFileSync } from 'node:fs'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, scratch } from './process.ts'
import type { SuspendedInput } from './programs/suspended.ts'

let folder: ReturnType<typeof scratch>
beforeEach(() => {
  folder = scratch()
})
afterEach(() => folder.remove())

describe.each([7, 6])('AI SDK %i', (major) => {
  const start = (does: SuspendedInput['does'], hangs = false) =>
    new Program('suspended', { folder: folder.path(), major, does, hangs } satisfies SuspendedInput)

  /** Runs one to its end; answers the last thing it has said. */
  async function run(does: SuspendedInput['does']): Promise<string> {
    const program = start(does)
    expect(await program.ended).toBe(0)
    return program.lines.at(-1) ?? ''
  }
  const paid = () => (existsSync(folder.path('paid')) ? readFileSync(folder.path('paid'), 'utf8') : '')

  it('is suspended to JSON, resumed in a new process, and paid once; the same JSON again pays nothing', {
    timeout: 120_000,
  }, async () => {
    proves('invariant-8')
    await run('ask')
    expect(await run('resume')).toBe('nothing is decided')
    expect(await run('forge')).toContain('Suspended (approval-pending)')
    expect(paid()).toBe('')
    await run('decide')
    expect(await run('resume')).toContain('paid 50')
    expect(paid()).toBe('50\n')
    for (const again of ['resume', 'forge'] as const) expect(await run(again)).toContain('Denied (duplicate-call)')
    expect(paid()).toBe('50\n')
    expect((await verifyFiles(folder.path('audit'))).ok).toBe(true)
  })

  it('is not paid again when the process that paid has died before it could say so', { timeout: 120_000 }, async () => {
    proves('invariant-8')
    await run('ask')
    await run('decide')
    const dying = start('resume', true)
    await dying.said('paying')
    expect(await dying.kill()).toBe('SIGKILL')
    expect(paid()).toBe('50\n')
    for (const again of ['resume', 'forge'] as const) expect(await run(again)).toContain('Denied (duplicate-call)')
    expect(paid()).toBe('50\n')
  })

  it('is paid once by several processes that resume it at once', { timeout: 120_000 }, async () => {
    await run('ask')
    await run('decide')
    const all = [start('resume'), start('resume'), start('forge')]
    expect(await Promise.all(all.map(({ ended }) => ended))).toEqual([0, 0, 0])
    const ends = all.map(({ lines }) => lines.at(-1) ?? '')
    expect(ends.filter((end) => end.includes('paid 50'))).toHaveLength(1)
    expect(ends.filter((end) => end.includes('Denied (duplicate-call)'))).toHaveLength(2)
    expect(paid()).toBe('50\n')
  })
})
