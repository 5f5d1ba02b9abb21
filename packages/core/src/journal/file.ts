/**
 * A folder that several processes keep what they owe in, each in a file of its own whose name says whose it is:
 * `owed-<id>.<pid>.<started>.<host>.jsonl`. What a dead process has left is taken over by renaming it: of several that try,
 * one succeeds. Lines are written at once (`writeSync`): they outlive the process, not a power cut.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { holder, holderText, isRunning, NOBODY, parseHolder } from '../sinks/lock.ts'
import type { Journal, Owed } from './journal.ts'
import { lineOf, paidLine, readLine } from './owed-line.ts'

/** Made, with its folder, for the owner alone, when something is owed for the first time. On a local disk. */
export function fileJournal(directory: string): Journal {
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw new ConfigError('invalid-option', 'directory', '`directory` names a folder')
  }
  return new FileJournal(directory)
}

/** How many journals this process has opened. */
let opened = 0

class FileJournal implements Journal {
  readonly #directory: string
  readonly #number: number = ++opened
  #made = 0
  #file: { readonly fd: number; readonly path: string } | undefined
  readonly #owed = new Map<string, Owed>()
  /** The last write may have left half a line. */
  #torn = false

  constructor(directory: string) {
    this.#directory = directory
  }

  keep(owed: Owed): void {
    this.#owed.set(owed.call, owed)
    this.#write(lineOf(owed))
  }

  paid(call: string): void {
    if (!this.#owed.delete(call) || !this.#file) return
    if (this.#owed.size > 0) this.#write(paidLine(call))
    else ftruncateSync(this.#file.fd)
  }

  *adopt(): Generator<Owed, void, undefined> {
    const failures: unknown[] = []
    for (const name of namesIn(this.#directory)) {
      const whose = WHOSE.exec(name)?.[1]
      const holder = whose === undefined ? undefined : parseHolder(whose)
      if (whose === undefined || (holder && isRunning(holder))) continue
      try {
        yield* this.#take(name, failures)
      } catch (error) {
        // Another process was quicker.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  *#take(name: string, failures: unknown[]): Generator<Owed, void, undefined> {
    const mine = this.#free()
    renameSync(join(this.#directory, name), mine)
    const owed = owedIn(readFileSync(mine, 'utf8'))
    try {
      // Written again before the old file goes: whenever this process dies, one of the two has it.
      for (const one of owed) this.keep(one)
      rmSync(mine)
    } catch (error) {
      // Then it stays where it is, and is told by this process all the same.
      failures.push(error)
    }
    yield* owed
  }

  close(): void {
    if (!this.#file) return
    const { fd, path } = this.#file
    this.#file = undefined
    closeSync(fd)
    if (this.#owed.size === 0) rmSync(path, { force: true })
    // This process may live on, and has let go of it.
    else renameSync(path, this.#free(NOBODY))
  }

  #write(text: string): void {
    this.#file ??= this.#open()
    // What was cut short is a line of its own, and none: the next must not become part of it.
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text)
    this.#torn = true
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file.fd, bytes, at)
    this.#torn = false
  }

  #open(): { fd: number; path: string } {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const path = this.#free()
    return { fd: openSync(path, 'ax', 0o600), path }
  }

  /** A name nobody has: no other process uses this one's number and journal while it lives. */
  #free(who = holderText(holder())): string {
    for (;;) {
      const path = join(this.#directory, `owed-${process.pid}-${this.#number}-${++this.#made}.${who}.jsonl`)
      if (!existsSync(path)) return path
    }
  }
}

const WHOSE = /^owed-\d+-\d+-\d+\.(left|\d+\.\d*\.[^.]+)\.jsonl$/

/** Sorted; none when there is no such folder. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** What a journal says is still owed. A line that was not finished is none: its write had not been answered. */
function owedIn(text: string): Owed[] {
  const owed = new Map<string, Owed>()
  for (const line of text.split('\n')) {
    const read = readLine(line)
    if (!read) continue
    if ('paid' in read) owed.delete(read.paid)
    else owed.set(read.call, read)
  }
  return [...owed.values()]
}
