/** The examples for where agents live, run as their readers run them: what they print is what their READMEs show. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { skipped } from '../crash/process.ts'
import { proves } from '../promises.ts'
import { NO_REDIS, redisProgram } from '../servers/redis.ts'

const examples = new URL('../../examples/', import.meta.url).pathname

/** Several processes that each load a framework: on a busy machine that takes a while. */
const LONGEST = 120_000
vi.setConfig({ testTimeout: LONGEST + 5_000 })

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-examples-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Runs an example in a folder of its own. `heard` is told all it has written to standard error so far. */
async function run(name: string, args: readonly string[] = [], heard?: (text: string, kill: () => void) => void) {
  const flags = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning']
  const { FORCE_COLOR: _, ...inherited } = process.env
  const child = spawn(process.execPath, [...flags, join(examples, name, 'main.ts'), ...args], {
    cwd: folder,
    env: { ...inherited, NO_COLOR: '1' },
    timeout: LONGEST,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
    heard?.(stderr, () => child.kill('SIGINT'))
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

/** The blocks of a README that show output. */
function shownBy(name: string): string[] {
  const text = readFileSync(join(examples, name, 'README.md'), 'utf8')
  return [...text.matchAll(/```text\n([\s\S]*?)```/g)].map(([, block = '']) => block)
}

describe('next-route', () => {
  it('gives each request a session of its user’s, and the browser one safe sentence of what was refused', async () => {
    proves('framework-agnostic', 'scoped-permissions', 'per-session-budget')
    const { code, stdout, stderr } = await run('next-route')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [shown] = shownBy('next-route')
    expect(stdout.trimStart()).toBe(shown)
    expect(stdout).toContain('tool-output-available call-1 {"order":"A1","refunded":20}\n')
    expect(stdout).toContain('tool-output-error call-1 Denied (scope-missing): ')
    expect(stdout).toContain('the same haldir true')
  })
})

describe('suspend-resume', () => {
  it('asks in one process, goes on in another after a yes, and runs nothing for the same messages again', async () => {
    proves('invariant-8', 'framework-agnostic')
    const { code, stdout, stderr } = await run('suspend-resume')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [shown] = shownBy('suspend-resume')
    expect(stdout).toBe(shown)
    expect(stdout.match(/has left the account/g)).toHaveLength(1)
    expect((await verifyFiles(join(folder, 'audit'))).ok).toBe(true)
  })
})

describe('worker', () => {
  it('shares one budget among processes, and loses no job when one of them is told to stop', async () => {
    proves('per-session-budget', 'invariant-3', 'invariant-9')
    const { code, stdout, stderr } = await run('worker')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [shown] = shownBy('worker')
    expect(stdout).toBe(shown)
    expect(stdout).toContain('10 jobs done, 2 refused, 0 failed\nbudget:USD 10 of 10 USD\n')
  })
})

describe('replicas', () => {
  it('share one budget on one Redis, exactly', async (context) => {
    proves('per-session-budget', 'invariant-3')
    if (!redisProgram() && !process.env.REDIS_URL) return skipped(context, NO_REDIS)
    const { code, stdout, stderr } = await run('replicas')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(shownBy('replicas')[0])
  })
})

describe('cli', () => {
  /** What stands on the terminal, without what differs from run to run. */
  const account = (text: string) =>
    text
      .replace(/^\d\d:\d\d:\d\d {2}/gm, '')
      .replace(/until \d\d:\d\d:\d\d/g, 'until')
      .replace(/ +[\d.]+ ms/g, ' ms')

  it('pays what fits, shows it as its README does, and says by its exit code that a call was refused', async () => {
    proves('framework-agnostic', 'every-call-logged')
    const { code, stdout, stderr } = await run('cli')
    const [answer, terminal = ''] = shownBy('cli')
    expect({ code, stdout }).toEqual({ code: 3, stdout: answer })
    expect(account(stderr)).toBe(account(terminal))
    expect((await verifyFiles(join(folder, 'audit'))).ok).toBe(true)
  })

  it('ends with 0 when the budget reaches, and in shadow mode, which shows what it would have refused', async () => {
    const [rich, shadow] = await Promise.all([
      run('cli', ['--budget', '100', '--audit', 'rich']),
      run('cli', ['--shadow', '--audit', 'shadow']),
    ])
    expect({ code: rich.code, stdout: rich.stdout }).toEqual({ code: 0, stdout: '3 of 3 invoices are paid.\n' })
    expect({ code: shadow.code, stdout: shadow.stdout }).toEqual({ code: 0, stdout: rich.stdout })
    expect(rich.stderr).toContain('73.99/100 USD')
    expect(shadow.stderr).toContain('~ budget-exceeded')
  })

  it.each([['enforce'], ['shadow']])('stops at Ctrl-C, and the session is revoked, in mode %s', async (mode) => {
    proves('instant-revoke')
    let told = false
    const args = mode === 'shadow' ? ['--shadow'] : []
    const { code, stdout, stderr } = await run('cli', args, (text, kill) => {
      // The first payment takes its time.
      if (!told && text.includes('list_invoices')) kill()
      told ||= text.includes('list_invoices')
    })
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toMatch(/· session revoked.* interrupted at the keyboard/)
    expect(stderr).not.toContain('39.49')
    expect((await verifyFiles(join(folder, 'audit'))).ok).toBe(true)
  })

  it.each([[['--bugdet', '5']], [['--budget', 'lots']]])('ends with 2 for %o, and says why', async (args) => {
    const { code, stdout, stderr } = await run('cli', args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/--bugdet|`scopes\.1`/)
  })
})
