/**
 * The file sink: `audit-<writer>-<n>.jsonl`, one entry a line, mode 0600. A line is handed to the operating system
 * before `write` answers, so it survives the death of the process; with `durable` it is on the disk, and survives a
 * power cut.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MaybePromise } from '../clock.ts'
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { readBlocks } from './file-blocks.ts'
import { fileChains } from './file-chains.ts'
import { readDirectory } from './file-directory.ts'
import { cutTornTails } from './file-recovery.ts'
import { Keeping } from './file-retention.ts'
import { FileWriter } from './file-writer.ts'
import { syncDirectory } from './segments.ts'
import type { Recovery, Retire, Sink, SinkOpened } from './sink.ts'

export interface FileSinkOptions {
  readonly required?: boolean
  /**
   * `true`: a line is on the disk before it counts as accepted. All lines that come while one commit is under way are
   * the next one: a write and an `fdatasync`. `false` unless given.
   */
  readonly durable?: boolean
  /** When a writer begins its next file; `false`: never. Unless given, at 64 MB, and with each day. */
  readonly rotate?: Rotation | false
  /**
   * Files whose entries are all older than this are deleted, each after an entry `retention` that tells of it; at least
   * a day. Not given: nothing is deleted. The AI Act of the EU asks for six months: `'183d'`.
   */
  readonly keep?: Duration
}

export interface Rotation {
  /** The largest a file may become: bytes, or such as `'16MB'`, of 1,048,576 bytes each. `'64MB'` unless given. */
  readonly size?: number | string
  /** Whether a day of UTC, by the time of the entries, begins a file. `true` unless given. */
  readonly daily?: boolean
}

const DAY = 86_400_000
const YEARS = 100 * 366 * DAY

/** Writes the trail below `directory`, which is made if it is missing. Throws `ConfigError`. */
export function fileSink(directory: string, options: FileSinkOptions = {}): Sink {
  checkKeys(options, ['required', 'durable', 'rotate', 'keep'], 'options of `fileSink`')
  const { required = true, durable = false, keep } = options
  if (typeof directory !== 'string' || directory === '') {
    throw new ConfigError('invalid-option', 'directory', '`directory` names a folder')
  }
  if (typeof durable !== 'boolean') throw new ConfigError('invalid-option', 'durable', '`durable` is true or false')
  const writing = { durable, ...rotation(options.rotate) }
  const keeping = new Keeping(directory, keepOf(keep, required))
  let file: FileWriter | undefined
  /** The last one that broke: a copy goes on behind it, at whichever attempt that succeeds. */
  let broken: FileWriter | undefined
  let mine = ''
  /** Found, and not told of yet. */
  const recovered: Recovery[] = []

  const openNow = (writer: string, retire?: Retire): SinkOpened => {
    if (file && (file.writer !== writer || file.broken)) {
      recovered.push(...file.end())
      broken = file
      file = undefined
    }
    // After an ended writer another one begins.
    const number = broken?.writer === writer ? broken.next : 1
    const made = mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (made !== undefined && durable) syncUpTo(dirname(made), directory)
    // What a dead process left unfinished is cut off first; the entry that records it is this writer's.
    recovered.push(...cutTornTails(directory))
    const begun = (line: string) => keeping.begun(line, file as FileWriter, retire)
    file ??= new FileWriter(directory, writer, writing, begun, number)
    mine = `${ENTRY}${writer}:`
    return { recovered: recovered.splice(0) }
  }

  return {
    name: 'file',
    required,
    gathers: durable,
    open(writer, retire): MaybePromise<SinkOpened> {
      const busy = file?.writer === writer ? undefined : file?.idle
      return busy ? busy.then(() => openNow(writer, retire)) : openNow(writer, retire)
    },
    write(lines) {
      if (!file) throw new Error('the file sink is not open')
      // Two chains in one file would be taken for tampering.
      if (!lines.startsWith(mine) && lines.startsWith(ENTRY))
        throw new Error('this file sink belongs to another haldir')
      return file.append(lines)
    },
    read: () => readDirectory(directory),
    chains: () => fileChains(directory),
    readBlocks: (only) => readBlocks(directory, only),
    close(): MaybePromise<void> {
      const end = () => {
        file?.end()
        file = undefined
      }
      const busy = keeping.stop() ?? file?.idle
      return busy ? busy.then(() => file?.idle).then(end) : end()
    },
  }
}

/** How a line of an entry begins; its writer follows. */
const ENTRY = '{"v":1,"id":"'

function rotation(given: Rotation | false = {}): { size: number; daily: boolean } {
  if (given === false) return { size: Number.POSITIVE_INFINITY, daily: false }
  checkKeys(given, ['size', 'daily'], 'options of `rotate`', 'rotate')
  const { size = '64MB', daily = true } = given
  if (typeof daily !== 'boolean') throw new ConfigError('invalid-option', 'rotate.daily', '`daily` is true or false')
  return { size: bytesOf(size), daily }
}

const UNITS: Readonly<Record<string, number>> = { KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }

function bytesOf(size: number | string): number {
  const [, count, unit] = typeof size === 'string' ? (/^(\d{1,9})(KB|MB|GB)$/.exec(size) ?? []) : []
  const bytes = typeof size === 'number' ? size : Number(count) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (Number.isSafeInteger(bytes) && bytes >= 1_024) return bytes
  throw new ConfigError('invalid-option', 'rotate.size', "`size` is such as `'64MB'`, or whole bytes, at least 1,024")
}

function keepOf(keep: Duration | undefined, required: boolean): number | undefined {
  if (keep === undefined) return undefined
  const ms = parseDuration(keep, 'keep', YEARS)
  if (ms < DAY) throw new ConfigError('invalid-option', 'keep', '`keep` is at least a day')
  // A copy does not speak for the record.
  if (!required) throw new ConfigError('invalid-option', 'keep', '`keep` needs a sink that is `required`')
  return ms
}

/** Folders that were made just now outlive a power cut, too. */
function syncUpTo(top: string, directory: string): void {
  for (let above = dirname(directory); above.length >= top.length; above = dirname(above)) {
    syncDirectory(above)
    if (above === dirname(above)) return
  }
}
