/** Where an export goes: a file, which is there whole or not at all, or a stream. */
import { chmod, type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { invalid } from './filter.ts'

/** A stream of Node's, or one of the web's. It is written to, and not ended. */
export type ExportStream = NodeStream | WritableStream<Uint8Array>

interface NodeStream {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): unknown
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

export interface Target {
  /** Resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>
  /** All of it is written: makes it stand, with its manifest beside it. */
  done(manifest: string): Promise<void>
  /** Something failed: leaves nothing half done behind. */
  abandon(): Promise<void>
}

/** Throws `ConfigError` for what is neither the name of a file nor a stream. */
export async function targetOf(to: string | ExportStream): Promise<Target> {
  if (typeof to === 'string' && to !== '') return toFile(to)
  if (typeof (to as WritableStream)?.getWriter === 'function') return toWeb(to as WritableStream<Uint8Array>)
  if (typeof (to as NodeStream)?.write === 'function') return toNode(to as NodeStream)
  throw invalid('to', 'names a file, or is a stream')
}

async function toFile(path: string): Promise<Target> {
  const aside = await asideOf(path)
  const asides = [aside]
  return {
    write: (bytes) => whole(aside.file, bytes),
    async done(manifest) {
      const beside = await asideOf(manifestOf(path))
      asides.push(beside)
      await whole(beside.file, Buffer.from(manifest))
      for (const { file } of asides) {
        await file.sync()
        await file.close()
      }
      // In between, a manifest of before stands beside what it does not fit: checking it says so.
      await rename(aside.name, path)
      await rename(beside.name, manifestOf(path))
    },
    async abandon() {
      for (const { file, name } of asides) {
        await file.close().catch(() => {})
        await unlink(name).catch(() => {})
      }
    },
  }
}

export function manifestOf(path: string): string {
  return `${path}.manifest`
}

interface Aside {
  readonly name: string
  readonly file: FileHandle
}

/** A file of another name in the same folder, that nobody else writes to: a rename puts it in place at once. */
async function asideOf(path: string): Promise<Aside> {
  for (let number = 1; ; number++) {
    const name = `${path}.${process.pid}-${number}.new`
    try {
      const file = await open(name, 'wx', 0o600)
      await chmod(name, 0o600)
      return { name, file }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

async function whole(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written)).bytesWritten
  }
}

function toNode(stream: NodeStream): Target {
  // Each write is told of its own failure; unheard, the event would end the process.
  const heard = () => {}
  stream.on?.('error', heard)
  const leave = async () => void stream.off?.('error', heard)
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()))
      }),
    done: leave,
    abandon: leave,
  }
}

function toWeb(stream: WritableStream<Uint8Array>): Target {
  const writer = stream.getWriter()
  writer.closed.catch(() => {})
  const leave = async () => writer.releaseLock()
  return { write: (bytes) => writer.write(bytes), done: leave, abandon: leave }
}
