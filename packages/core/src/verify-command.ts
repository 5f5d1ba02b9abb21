#!/usr/bin/env node
/**
 * `haldir-verify audit --key trail.pub`: checks the folder of a file sink with nothing but its files and the public key.
 * Reads only. Exit code 0: nothing is wrong; 1: problems, each on a line of its own; 2: wrong arguments, or nothing to read.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from './clock.ts'
import { ConfigError } from './errors.ts'
import { printable, printableLines, wantsColour } from './printable.ts'
import { type Verification, type VerifyOptions, verifyFiles } from './verify.ts'
import { notesIn } from './witnesses/file.ts'

const USAGE = `usage: haldir-verify FOLDER [options]

  --key FILE        public key of those who signed the checkpoints, or the key itself; may be given several times
  --trusted FILE    checkpoints that were kept elsewhere: a witness file, or the last one seen; several times
  --heartbeat 2m    the longest time a writer may be without a checkpoint
  --unsigned-ok     a chain without a checkpoint is no problem
  --tree            compute the Merkle root of every checkpoint, too
  --exact           parse every entry and check it against the schema, too
  --json            print the whole answer as JSON
`

/** Before that nobody needs to be told that it goes on. */
const PATIENCE = 2_000
const OFTEN = 250
/** Names in entries are written by whoever wrote the files. */
const LONGEST = 300

interface Command {
  readonly folder: string
  readonly options: VerifyOptions
  readonly json: boolean
}

/** Throws for what can't be understood or read. */
function commandOf(args: readonly string[]): Command | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      key: { type: 'string', multiple: true },
      trusted: { type: 'string', multiple: true },
      heartbeat: { type: 'string' },
      'unsigned-ok': { type: 'boolean' },
      tree: { type: 'boolean' },
      exact: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return undefined
  const [folder] = positionals
  if (folder === undefined || positionals.length > 1) throw new Usage('one folder is to be named')
  const trusted = values.trusted?.flatMap((file) => {
    const notes = notesIn(textOf(file))
    if (notes.length === 0) throw new Usage(`there is no checkpoint in ${file}`)
    return notes
  })
  const options: VerifyOptions = {
    ...(values.key && { key: values.key.flatMap(keysIn) }),
    ...(trusted && { trusted }),
    ...(values.heartbeat !== undefined && { heartbeat: values.heartbeat }),
    ...(values['unsigned-ok'] && { requireCheckpoints: false }),
    ...(values.tree && { tree: true }),
    ...(values.exact && { exact: true }),
  }
  return { folder, options, json: values.json === true }
}

class Usage extends Error {}

/** A key that is written out, or the keys in a file, one a line. */
function keysIn(keyOrFile: string): string[] {
  if (/^[^+]+\+[0-9a-f]{8}\+./.test(keyOrFile)) return [keyOrFile]
  const lines = textOf(keyOrFile).split(/\r?\n/)
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new Usage(`${file} can't be read`)
  }
}

/** Tells on a terminal how far it is, when it takes long. */
function progressOf(folder: string): { readonly tell: (bytes: number) => void; readonly end: () => void } {
  const { stderr } = process
  if (!stderr.isTTY) return { tell: () => {}, end: () => {} }
  const total = sizeOf(folder)
  const began = systemClock.monotonic()
  let told = began + PATIENCE - OFTEN
  let shown = false
  return {
    tell(bytes) {
      const now = systemClock.monotonic()
      if (now - told < OFTEN) return
      told = now
      shown = true
      stderr.write(`\r${Math.min(99, Math.floor((bytes / Math.max(1, total)) * 100))} % `)
    },
    end: () => void (shown && stderr.write('\r      \r')),
  }
}

function sizeOf(folder: string): number {
  try {
    return readdirSync(folder).reduce(
      (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
  } catch {
    return 0
  }
}

/** One line for each writer and each problem, and one that says what it comes to. */
function report({ ok, writers, problems, omitted = 0, orphans }: Verification, signed: boolean): string {
  const colour = wantsColour(process.stdout, process.env)
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const plain = (text: string) => printable(text, LONGEST)
  const lines = writers.map(({ id, entries, closed, retained, checkpoint, uncovered }) => {
    const parts = [`${entries} entries`, closed ? 'closed' : 'not closed']
    if (retained !== undefined) parts.push(`the first ${retained} let go of`)
    if (checkpoint) parts.push(`last checkpoint ${checkpoint.time}`)
    if (uncovered) parts.push(`${uncovered} behind it not covered`)
    return `writer ${plain(id)}: ${parts.join(', ')}`
  })
  for (const { kind, message } of problems) lines.push(`${paint(31, kind)}: ${plain(message)}`)
  if (omitted > 0) lines.push(`and ${omitted} problems more`)
  for (const { call, tool, at } of orphans)
    lines.push(plain(`orphan: call ${call} of ${tool}, begun ${at}, has no outcome`))
  const entries = writers.reduce((sum, writer) => sum + writer.entries, 0)
  const found = problems.length + omitted
  const said = ok ? paint(32, 'nothing is wrong') : paint(31, `${found} ${found === 1 ? 'problem' : 'problems'}`)
  lines.push(`${writers.length} ${writers.length === 1 ? 'writer' : 'writers'}, ${entries} entries: ${said}`)
  if (ok && !signed) lines.push('without --key only the chains are checked, not who wrote them')
  return `${lines.join('\n')}\n`
}

async function run(args: readonly string[]): Promise<number> {
  try {
    const command = commandOf(args)
    if (!command) {
      process.stdout.write(USAGE)
      return 0
    }
    const { folder, options, json } = command
    const progress = progressOf(folder)
    const found = await verifyFiles(folder, { ...options, progress: progress.tell })
    progress.end()
    process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : report(found, options.key !== undefined))
    return found.ok ? 0 : 1
  } catch (error) {
    const known = error instanceof Usage || error instanceof TypeError || ConfigError.isInstance(error)
    if (!known) throw error
    process.stderr.write(`${printableLines((error as Error).message)}\n\n${USAGE}`)
    return 2
  }
}

process.exitCode = await run(process.argv.slice(2))
