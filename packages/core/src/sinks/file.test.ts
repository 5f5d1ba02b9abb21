import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileSink } from './file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-file-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const lines = async (sink: ReturnType<typeof fileSink>) => Array.fromAsync(sink.read?.() ?? [])

describe('fileSink', () => {
  it('makes its folder and files for the owner alone', async () => {
    const sink = fileSink(join(folder, 'audit'))
    sink.open?.('w1')
    sink.write('{"at":"2026-01-01T00:00:00.000Z"}\n')
    expect(statSync(join(folder, 'audit')).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(join(folder, 'audit')))
      expect(statSync(join(folder, 'audit', name)).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(folder, 'audit')).sort()).toEqual(['audit-w1-1.jsonl', 'audit-w1.lock'])
    await sink.close?.()
    expect(existsSync(join(folder, 'audit', 'audit-w1.lock'))).toBe(false)
  })

  it('reads back every line of every writer, in order, also over the borders of its buffer', async () => {
    const [first, second] = [fileSink(folder), fileSink(folder)]
    first.open?.('z')
    first.write(`{"at":"2026-01-01T00:00:00.000Z","text":"${'ü€'.repeat(40_000)}"}\n`)
    second.open?.('a')
    second.write('{"at":"2026-01-02T00:00:00.000Z"}\n{"n":2}\n')
    first.write('{"n":2}\n')
    const read = await lines(first)
    expect(read.map(({ writer, place }) => `${writer} ${place}`)).toEqual([
      'z audit-z-1.jsonl:1',
      'z audit-z-1.jsonl:2',
      'a audit-a-1.jsonl:1',
      'a audit-a-1.jsonl:2',
    ])
    expect(JSON.parse(read[0]?.line as string).text).toBe('ü€'.repeat(40_000))
  })

  it('never lets two writers share a file', () => {
    fileSink(folder).open?.('w')
    expect(() => fileSink(folder).open?.('w')).toThrow()
    // The lock is still there: nobody takes the first for dead.
    expect(readdirSync(folder).sort()).toEqual(['audit-w-1.jsonl', 'audit-w.lock'])
  })

  it('can be opened on the second attempt, when the first found no room for its lock', () => {
    writeFileSync(join(folder, 'audit-w.lock.new'), '{"pid"')
    const sink = fileSink(folder)
    sink.open?.('w')
    sink.write('{}\n')
    expect(readdirSync(folder).sort()).toEqual(['audit-w-1.jsonl', 'audit-w.lock'])
  })

  it('cuts the unfinished line off a dead writer’s file, and says so; a live one’s it leaves alone', () => {
    const whole = '{"at":"2026-01-01T00:00:00.000Z"}\n'
    writeFileSync(join(folder, 'audit-dead-1.jsonl'), `${whole}{"torn`)
    // A process id that is taken, by a process that began at another time.
    writeFileSync(
      join(folder, 'audit-dead.lock'),
      JSON.stringify({ pid: process.pid, host: hostnameOf(), started: '1' }),
    )
    const live = fileSink(folder)
    expect(live.open?.('live')).toEqual({ recovered: [{ writer: 'dead', file: 'audit-dead-1.jsonl', bytes: 6 }] })
    expect(readFileSync(join(folder, 'audit-dead-1.jsonl'), 'utf8')).toBe(whole)
    appendFileSync(join(folder, 'audit-live-1.jsonl'), '{"half')
    expect(fileSink(folder).open?.('next')).toEqual({ recovered: [] })
    expect(readFileSync(join(folder, 'audit-live-1.jsonl'), 'utf8')).toBe('{"half')
  })

  it('leaves alone what another machine’s process may still be writing', () => {
    writeFileSync(join(folder, 'audit-far-1.jsonl'), '{"half')
    writeFileSync(join(folder, 'audit-far.lock'), JSON.stringify({ pid: 1, host: 'elsewhere', started: '1' }))
    expect(fileSink(folder).open?.('w')).toEqual({ recovered: [] })
  })

  it('takes a line back that the disk had no room for, and goes on when there is room', () => {
    // A limit on the size of a file makes the kernel cut a write short, as a full disk does.
    const program = `
      import { fileSink } from ${JSON.stringify(new URL('./file.ts', import.meta.url).href)}
      import { readFileSync } from 'node:fs'
      const sink = fileSink(process.argv[1])
      sink.open('w')
      const line = JSON.stringify({ text: 'x'.repeat(700) }) + '\\n'
      let accepted = 0, refused = 0
      for (let n = 0; n < 4; n++) try { sink.write(line); accepted++ } catch { refused++ }
      const small = '{}\\n'
      try { sink.write(small); accepted++ } catch { refused++ }
      const text = readFileSync(process.argv[1] + '/audit-w-1.jsonl', 'utf8')
      console.log(JSON.stringify({ accepted, refused, whole: text === line + small }))
    `
    const run = spawnSync(
      'bash',
      [
        '-c',
        'trap "" XFSZ; ulimit -f 1; exec "$0" --input-type=module -e "$1" "$2"',
        process.execPath,
        program,
        folder,
      ],
      { encoding: 'utf8' },
    )
    expect(JSON.parse(run.stdout || `"${run.stderr}"`)).toEqual({ accepted: 2, refused: 3, whole: true })
  })
})

function hostnameOf(): string {
  const probe = fileSink(join(folder, 'probe'))
  probe.open?.('p')
  return JSON.parse(readFileSync(join(folder, 'probe', 'audit-p.lock'), 'utf8')).host
}
