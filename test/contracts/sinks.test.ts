/** The sink contract, for every sink of ours. */
import { execFileSync } from 'node:child_process'
import fs, { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sink } from '@haldir/core'
import { type FileSinkOptions, fileSink } from '@haldir/core/sinks/file'
import { type HttpSink, type HttpSinkOptions, httpSink } from '@haldir/core/sinks/http'
import { memorySink } from '@haldir/core/sinks/memory'
import { prettySink } from '@haldir/core/sinks/pretty'
import { verifyFiles } from '@haldir/core/verify'
import { sinkContract } from '@haldir/testing'
import { Collector, Kept } from '../collectors/collector.ts'
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

/** From now on the disk does not confirm, or does again. */
const { fdatasync, writeSync } = fs
const confirms = (whole: boolean) => {
  const fails = Object.assign(new Error('EIO'), { code: 'EIO' })
  const sync = (_: number, done: (error: Error) => void) => void setImmediate(done, fails)
  const write = () => {
    throw fails
  }
  Object.assign(fs, whole ? { fdatasync, writeSync } : { fdatasync: sync, writeSync: write })
  syncBuiltinESMExports()
}

/** The largest that files may become so that a line finds no room; what there is of room takes the beginning of one. */
type Limit = (sizes: readonly number[]) => number

const fileContract = (name: string, options: FileSinkOptions, limit: Limit) =>
  sinkContract({
    name,
    open() {
      const folder = mkdtempSync(join(tmpdir(), 'haldir-sink-'))
      const directory = join(folder, 'audit')
      const opened: Sink[] = []
      const open = () => {
        const sink = fileSink(directory, options)
        opened.push(sink)
        return sink
      }
      const files = () => {
        const names = globSync('*.jsonl', { cwd: directory }).sort((a, b) =>
          a.localeCompare(b, 'en', { numeric: true }),
        )
        return names.map((name) => join(directory, name))
      }
      const mend = () => {
        if (canLimit) limitFiles('unlimited')
        confirms(true)
      }
      return {
        sink: open(),
        stored: () =>
          files()
            .map((path) => readFileSync(path, 'utf8'))
            .join(''),
        reopen: open,
        ...(canLimit && { break: () => limitFiles(limit(files().map((path) => statSync(path).size))) }),
        spoil: () => confirms(false),
        mend,
        verify() {
          // What wrote nothing has no folder yet.
          mkdirSync(directory, { recursive: true })
          return verifyFiles(directory)
        },
        async close() {
          mend()
          for (const sink of opened) await sink.close?.()
          rmSync(folder, { recursive: true })
        },
      }
    },
    ...(!canLimit && { lacks: { break: 'only `prlimit`, which Linux has, makes a disk seem full here' } }),
  })

const inTheLast: Limit = (sizes) => Math.max(0, ...sizes) + 40
fileContract('file', {}, inTheLast)
fileContract('file, durable', { durable: true }, inTheLast)
// The next file has room for no more than that, either.
fileContract('file, many small ones', { rotate: { size: 1_024 } }, () => 40)
fileContract('file, many small ones, durable', { durable: true, rotate: { size: 1_024 } }, () => 40)

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

/** A collector that tells repeated requests apart, and sinks that send to it. */
async function collecting(options: Partial<HttpSinkOptions>) {
  const kept = new Kept()
  const collector = await new Collector((received) => kept.add(received)).listen()
  const opened: HttpSink[] = []
  const open = () => {
    const quickly = { batch: { every: '5ms' }, backoff: { first: 1, most: 5 } }
    const sink = httpSink({ url: collector.url(), privateHosts: [collector.host], ...quickly, ...options })
    opened.push(sink)
    return sink
  }
  return {
    collector,
    sink: open(),
    reopen: open,
    async stored() {
      for (const sink of opened) await sink.flush()
      return kept.all.map((line) => `${line}\n`).join('')
    },
    async close() {
      for (const sink of opened) await sink.close()
      await collector.close()
    },
  }
}

sinkContract({
  name: 'http, which sends each write before it accepts it',
  async open() {
    const scene = await collecting({})
    return {
      ...scene,
      break: () => {
        // Longer than a write may take.
        scene.collector.outage = { status: 503, headers: { 'retry-after': '60' } }
      },
      mend: () => {
        scene.collector.outage = undefined
      },
    }
  },
})

sinkContract({
  name: 'http with a spool',
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-sink-'))
    const scene = await collecting({ spool: join(folder, 'spool') })
    return {
      ...scene,
      ...(canLimit && {
        // The collector is well; there is no room for the spool.
        break: () => limitFiles(0),
        mend: () => limitFiles('unlimited'),
      }),
      async close() {
        if (canLimit) limitFiles('unlimited')
        await scene.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
  ...(!canLimit && { lacks: { break: 'only `prlimit`, which Linux has, makes a disk seem full here' } }),
})

sinkContract({
  name: 'http as a copy, in memory',
  open: () => collecting({ required: false }),
  lacks: { break: 'it accepts while its collector is down, and sends when that is back' },
})
