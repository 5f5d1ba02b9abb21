/** The sink contract, for every sink of ours. */
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sink } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memorySink } from '@haldir/core/sinks/memory'
import { prettySink } from '@haldir/core/sinks/pretty'
import { verifyFiles } from '@haldir/core/verify'
import { sinkContract } from '@haldir/testing'
import { proves } from '../promises.ts'

proves('invariant-1', 'invariant-6', 'every-call-logged', 'trail-immutable')

sinkContract({
  name: 'memory',
  open() {
    const sink = memorySink()
    return { sink, stored: () => sink.lines.map((line) => `${line}\n`).join(''), close() {} }
  },
  lacks: {
    reopen: 'what is in memory ends with its process',
    break: 'memory that runs out ends the process, and refuses nothing',
  },
})

/** Limits how large files of this process may become: the kernel then cuts writes short, as on a full disk. Linux only. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}

const canLimit = existsSync('/usr/bin/prlimit')

sinkContract({
  name: 'file',
  open() {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-sink-'))
    const directory = join(folder, 'audit')
    const opened: Sink[] = []
    const open = () => {
      const sink = fileSink(directory)
      opened.push(sink)
      return sink
    }
    const files = () => globSync('*.jsonl', { cwd: directory }).map((name) => join(directory, name))
    return {
      sink: open(),
      stored: () =>
        files()
          .map((path) => readFileSync(path, 'utf8'))
          .join(''),
      reopen: open,
      ...(canLimit && {
        // Room for the beginning of a line.
        break: () => limitFiles(Math.max(0, ...files().map((path) => statSync(path).size)) + 40),
        mend: () => limitFiles('unlimited'),
      }),
      verify() {
        // What wrote nothing has no folder yet.
        mkdirSync(directory, { recursive: true })
        return verifyFiles(directory)
      },
      async close() {
        if (canLimit) limitFiles('unlimited')
        for (const sink of opened) await sink.close?.()
        rmSync(folder, { recursive: true })
      },
    }
  },
  ...(!canLimit && { lacks: { break: 'only `prlimit`, which Linux has, makes a disk seem full here' } }),
})

sinkContract({
  name: 'pretty',
  open() {
    let text = ''
    const stream = { write: (more: string) => (text += more) }
    return {
      sink: prettySink({ stream, env: {} }),
      close() {
        if (text.includes('\u001b')) throw new Error('what was printed could act on a terminal')
      },
    }
  },
  lacks: {
    stored: 'it prints entries for people to read, and keeps none',
    reopen: 'what was printed is printed',
    break: 'a terminal that is gone does not come back',
  },
  skip: {
    'after `close` a write is refused': 'it is never open: what it prints to is not its own to close',
  },
})
