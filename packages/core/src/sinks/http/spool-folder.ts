/**
 * The folder that several processes spool into, each into a folder of its own, whose name says whose it is:
 * `<sink>.<id>.<pid>.<started>.<host>`. What a dead process has left is taken over by renaming it: of several that
 * try, one succeeds, and it is its holder from that moment on.
 */
import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Holder, holder, holderText, isRunning, NOBODY, parseHolder, plain } from '../lock.ts'
import { Spool, type SpoolOptions } from './spool.ts'

export class SpoolFolder {
  readonly #path: string
  readonly #sink: string
  readonly #options: SpoolOptions

  constructor(path: string, sink: string, options: SpoolOptions = {}) {
    this.#path = path
    this.#sink = sink
    this.#options = options
  }

  /** A spool for this process. */
  make(id: string): Spool {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 })
    return this.#spool(this.#tried(id, (name) => mkdirSync(join(this.#path, name), { mode: 0o700 })))
  }

  /** What others have left, the oldest first as far as names tell. */
  adopt(): Spool[] {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 })
    const adopted: Spool[] = []
    for (const name of readdirSync(this.#path).sort()) {
      const found = parse(name)
      if (found?.sink !== this.#sink || (found.holder && isRunning(found.holder))) continue
      try {
        const mine = this.#tried(found.id, (as) => renameSync(join(this.#path, name), join(this.#path, as)))
        const spool = this.#spool(mine)
        if (spool.entries > 0) adopted.push(spool)
        else this.release(spool)
      } catch (error) {
        // Another process was quicker.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    return adopted
  }

  /** Removes what is sent; leaves what is not to whoever opens the folder next. */
  release(spool: Spool): void {
    if (!spool.close()) {
      rmSync(spool.folder, { recursive: true, force: true })
      return
    }
    const id = parse(spool.folder.slice(dirname(spool.folder).length + 1))?.id ?? ''
    try {
      this.#tried(id, (name) => renameSync(spool.folder, join(this.#path, name)), NOBODY)
    } catch {
      // It bears this process's name, and is free when the process has ended.
    }
  }

  /** Sets an entry aside that the receiver will never take: one line of JSON in `refused-<sink>.jsonl`. */
  refuse(record: object): void {
    // In one write, which appends: lines of several processes do not get mixed up.
    appendFileSync(join(this.#path, `refused-${this.#sink}.jsonl`), `${JSON.stringify(record)}\n`, { mode: 0o600 })
  }

  #spool(name: string): Spool {
    return new Spool(join(this.#path, name), this.#options)
  }

  /** Does something under a name that is free. */
  #tried(id: string, work: (name: string) => void, who = holderText(holder())): string {
    for (let times = 0; ; times++) {
      const name = `${this.#sink}.${times === 0 ? plain(id) : `${plain(id)}~${times}`}.${who}`
      try {
        work(name)
        return name
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException
        if (!['EEXIST', 'ENOTEMPTY'].includes(code) || times > 1_000) throw error
      }
    }
  }
}

function parse(name: string): { sink: string; id: string; holder: Holder | undefined } | undefined {
  const [, sink = '', id = '', who = ''] = /^([^.]+)\.([^.~]*)(?:~\d+)?\.(left|\d+\.\d*\.[^.]+)$/.exec(name) ?? []
  if (who === '') return undefined
  return { sink, id, holder: parseHolder(who) }
}
