import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir, governed } from '@haldir/core'
import { createSigningKey, envSigner, fileWitness } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const main = new URL('verify-command.ts', import.meta.url).pathname
let folder = ''
let key = ''
const audit = () => join(folder, 'audit')
const file = () => join(audit(), readdirSync(audit()).find((name) => name.endsWith('.jsonl')) as string)

function command(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions', '@haldir/source', '--disable-warning=ExperimentalWarning', main, ...args],
    { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1', ...env }, cwd: folder },
  )
  return { status, stdout, stderr }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-command-'))
  let made = 0
  const keys = createSigningKey('acme.example/haldir')
  key = keys.publicKey
  writeFileSync(join(folder, 'trail.pub'), `# of the trail\n${key}\n`)
  const haldir = createHaldir({
    sinks: [fileSink(audit())],
    checkpoints: {
      signer: envSigner('KEY', { env: { KEY: keys.signingKey } }),
      every: 5,
      witnesses: [fileWitness(join(folder, 'last.checkpoint'))],
    },
    ids: () => `w${++made}`,
  })
  const tool = governed(async () => 'done', { name: 'tool', scope: 'read' }, { haldir })
  const session = await haldir.createSession({ agent: 'a', scopes: ['read'] })
  await session.run(async () => {
    for (let n = 0; n < 5; n++) await tool()
  })
  await haldir.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('haldir-verify', () => {
  it('says of a whole trail that nothing is wrong, with the public key in a file or as it is', () => {
    const told = command([
      'audit',
      '--key',
      'trail.pub',
      '--trusted',
      'last.checkpoint',
      '--tree',
      '--exact',
      '--heartbeat',
      '2m',
    ])
    expect(told).toMatchObject({ status: 0, stderr: '' })
    expect(told.stdout).toMatch(
      /^writer w\d: \d+ entries, closed, last checkpoint \S+Z\n1 writer, \d+ entries: nothing is wrong\n$/,
    )
    expect(command(['audit', '--key', key]).status).toBe(0)
    expect(command(['audit']).stdout).toContain('without --key only the chains are checked')
  })

  it('names problems, one a line, and answers all of it as JSON', () => {
    const whole = readFileSync(file())
    appendFileSync(file(), '\u001b[2Jforged\n{"half')
    try {
      const told = command(['audit', '--key', 'trail.pub'], { NO_COLOR: '', FORCE_COLOR: '1' })
      expect(told).toMatchObject({ status: 1, stderr: '' })
      expect(told.stdout).toContain('\u001b[31mmalformed\u001b[0m: audit-')
      expect(told.stdout).toContain('\u001b[31mtorn\u001b[0m: the last line at audit-')
      expect(told.stdout).toMatch(/2 problems/)
      const json = command(['audit', '--json'])
      expect(json.status).toBe(1)
      expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, problems: [{ kind: 'malformed' }, { kind: 'torn' }] })
    } finally {
      writeFileSync(file(), whole)
    }
  })

  it('finds with what was kept elsewhere that the end was cut off', () => {
    const whole = readFileSync(file(), 'utf8')
    writeFileSync(file(), `${whole.split('\n').slice(0, 8).join('\n')}\n`)
    try {
      expect(command(['audit', '--key', 'trail.pub']).status).toBe(0)
      const told = command(['audit', '--key', 'trail.pub', '--trusted', 'last.checkpoint'])
      expect(told.status).toBe(1)
      expect(told.stdout).toMatch(/^truncated: .* ends after 8 entries; a trusted checkpoint knows \d+$/m)
    } finally {
      writeFileSync(file(), whole)
    }
  })

  it.each<[string, string[], string]>([
    ['no folder', [], 'one folder is to be named'],
    ['two folders', ['audit', 'audit'], 'one folder is to be named'],
    ['a folder that is not there', ['nowhere'], '`directory` is not a folder'],
    ['an option that nobody knows', ['audit', '--kee', 'x'], "'--kee'"],
    ['a key that is not there', ['audit', '--key', 'nowhere.pub'], "nowhere.pub can't be read"],
    ['a key that is none', ['audit', '--key', 'last.checkpoint'], '`key` is a public key'],
    ['checkpoints that are none', ['audit', '--trusted', 'trail.pub'], 'there is no checkpoint in trail.pub'],
    ['no length of time', ['audit', '--heartbeat', 'soon'], '`heartbeat` is a duration'],
  ])('says how it is used after %s', (_, args, message) => {
    const told = command(args)
    expect(told).toMatchObject({ status: 2, stdout: '' })
    expect(told.stderr).toContain(message)
    expect(told.stderr).toContain('usage: haldir-verify FOLDER [options]')
  })

  it('explains itself when asked', () => {
    expect(command(['--help'])).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('--trusted FILE'),
    })
  })
})
