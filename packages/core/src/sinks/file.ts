/**
 * The file sink: one file for each writer, `audit-<writer>-1.jsonl`, one entry a line, mode 0600. A line is handed to
 * the operating system before `write` answers, so it survives the death of the process (not a power cut).
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { cutTornTails, readDirectory } from './file-directory.ts'
import { releaseLock, takeLock } from './lock.ts'
import type { Sink, SinkOpened } from './sink.ts'

export interface FileSinkOptions {
  readonly required?: boolean
}

/** Writes the trail below `directory`, which is made if it is missing. */
export function fileSink(directory: string, options: FileSinkOptions = {}): Sink {
  checkKeys(options, ['required'], 'options of `fileSink`')
  const { required = true } = options
  if (typeof directory !== 'string' || directory === '') {
    throw new ConfigError('invalid-option', 'directory', '`directory` names a folder')
  }
  let file: OpenFile | undefined
  return {
    name: 'file',
    required,
    open(writer): SinkOpened {
      // Two chains in one file would be taken for tampering.
      if (file && file.writer !== writer) throw new Error('this file sink belongs to another haldir')
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      // What a dead process left unfinished is cut off first; the entry that records it is this writer's.
      const recovered = cutTornTails(directory)
      file ??= openFile(directory, writer)
      return { recovered }
    },
    write(lines) {
      if (!file) throw new Error('the file sink is not open')
      append(file, lines)
    },
    read: () => readDirectory(directory),
    close() {
      if (!file) return
      closeSync(file.fd)
      releaseLock(file.lock)
      file = undefined
    },
  }
}

interface OpenFile {
  readonly writer: string
  readonly fd: number
  readonly lock: string
  /** How long the file is: everything up to here is whole lines. */
  size: number
  /** A line was cut off and could not be taken back: nothing may follow it. */
  broken: boolean
}

/** Makes the writer's file. `ax`: it must not exist, so two writers can never share one. */
function openFile(directory: string, writer: string): OpenFile {
  const path = join(directory, `audit-${writer}-1.jsonl`)
  const lock = join(directory, `audit-${writer}.lock`)
  // Before the lock is touched: it belongs to whoever writes that file.
  if (existsSync(path)) throw new Error('another writer of this name has a file here')
  takeLock(lock)
  try {
    const fd = openSync(path, 'ax', 0o600)
    return { writer, fd, lock, size: 0, broken: false }
  } catch (error) {
    releaseLock(lock)
    throw error
  }
}

/** Appends whole lines or none. */
function append(file: OpenFile, lines: string): void {
  if (file.broken) throw new Error('the file ends in a broken line')
  const bytes = Buffer.byteLength(lines)
  let written = 0
  try {
    written = writeSync(file.fd, lines)
    if (written !== bytes) throw new Error('the write was cut short')
    file.size += bytes
  } catch (error) {
    takeBack(file)
    throw error
  }
}

/** A failed write may have left part of a line. Either the file is cut back to whole lines, or nothing follows it. */
function takeBack(file: OpenFile): void {
  try {
    if (fstatSync(file.fd).size !== file.size) ftruncateSync(file.fd, file.size)
  } catch {
    file.broken = true
  }
}
