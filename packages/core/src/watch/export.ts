/** Handing entries over: to a file or a stream, with a manifest that says what they are. Streams, whatever their number. */
import { createHash } from 'node:crypto'
import type { Clock, MaybePromise } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { type Chains, ranked } from './chains.ts'
import { CSV_HEADER, csvRow } from './csv.ts'
import { type ExportStream, manifestOf, type Target, targetOf } from './export-target.ts'
import { compileFilter, type Filter, invalid, known } from './filter.ts'
import { type ExportedWriter, formatManifest, type Manifest, signManifest } from './manifest.ts'
import type { Signer } from './note.ts'
import { inOrder } from './query.ts'

export interface ExportOptions {
  /**
   * The name of a file, which is written aside and put in place when it is whole, mode 0600, its manifest beside it as
   * `<file>.manifest`; or a stream, which is written to and not ended.
   */
  readonly to: string | ExportStream
  /** `jsonl`: the lines as they stand in the trail. `csv`: RFC 4180, for people; it has no lines to check hashes of. */
  readonly format: 'jsonl' | 'csv'
  readonly filter?: Filter
  /** Signs the manifest. Without it the manifest has hashes, and whoever changes the export can change it, too. */
  readonly signer?: Signer
  /** Told now and then how much is done. When it throws or rejects, the export ends there. */
  readonly progress?: (done: { readonly entries: number; readonly bytes: number }) => MaybePromise<void>
}

export interface Exported extends Manifest {
  readonly signed: boolean
  /** The text of the manifest, as it stands beside the file. */
  readonly manifest: string
  /** Where it stands; absent when it went to a stream. */
  readonly files?: { readonly export: string; readonly manifest: string }
}

/** So many bytes are written at once. */
const CHUNK = 65_536
const KEYS = ['to', 'format', 'filter', 'signer', 'progress']

/** Throws `ConfigError` for options it does not understand. When it rejects, there is no file. */
export async function exportEntries(chains: Chains, options: ExportOptions, clock: Clock): Promise<Exported> {
  known(options, KEYS, 'options of `export`')
  const { to, format, filter = {}, signer, progress } = options
  if (format !== 'jsonl' && format !== 'csv') throw invalid('format', 'is `jsonl` or `csv`')
  if (signer !== undefined && typeof signer?.sign !== 'function') throw invalid('signer', 'has `sign`')
  if (progress !== undefined && typeof progress !== 'function') throw invalid('progress', 'is a function')
  compileFilter(filter)
  const time = new Date(clock.now()).toISOString()
  const target = await targetOf(to)
  try {
    const content = await write(chains, filter, format, target, progress)
    const manifest: Manifest = { format, filter: plain(filter), ...content, time }
    const text = signed(formatManifest(manifest), signer)
    await target.done(text)
    const files = typeof to === 'string' ? { files: { export: to, manifest: manifestOf(to) } } : {}
    return { ...manifest, signed: signer !== undefined, manifest: text, ...files }
  } catch (error) {
    await target.abandon()
    throw error
  }
}

type Content = Pick<Manifest, 'entries' | 'bytes' | 'sha256' | 'writers'>

async function write(
  chains: Chains,
  filter: Filter,
  format: Manifest['format'],
  target: Target,
  progress: ExportOptions['progress'],
): Promise<Content> {
  const compiled = compileFilter(filter)
  const sha256 = createHash('sha256')
  const writers = new Map<string, ExportedWriter>()
  let [entries, bytes, text] = [0, 0, format === 'csv' ? CSV_HEADER : '']
  const flush = async () => {
    const chunk = Buffer.from(text)
    text = ''
    sha256.update(chunk)
    bytes += chunk.length
    await target.write(chunk)
    await progress?.({ entries, bytes })
  }
  reading: for await (const reads of compiled.limit === 0 ? [] : inOrder(ranked(await chains()), compiled)) {
    for (const { entry, line, chain, position } of reads) {
      const from = writers.get(chain.writer)?.from ?? position
      writers.set(chain.writer, { id: chain.writer, from, to: position, head: String(entry.hash) })
      if (!compiled.matches(entry)) continue
      text += format === 'csv' ? csvRow(entry) : `${line}\n`
      entries++
      if (text.length >= CHUNK) await flush()
      if (entries === compiled.limit) break reading
    }
  }
  if (text !== '') await flush()
  return { entries, bytes, sha256: sha256.digest('hex'), writers: [...writers.values()] }
}

/** A note may not be longer than a million characters: of many thousand writers, a few at a time are exported. */
const MOST = 990_000

function signed(text: string, signer: Signer | undefined): string {
  if (text.length > MOST) throw new Unavailable('the manifest would be too long; export by `writer`')
  try {
    return signManifest(text, signer)
  } catch (cause) {
    throw new Unavailable('the manifest could not be signed', { cause })
  }
}

function plain(filter: Filter): Record<string, unknown> {
  const said = Object.entries(filter).filter(([, value]) => value !== undefined)
  const times = (key: string, value: unknown) =>
    key === 'since' || key === 'until' ? new Date(value as string).toISOString() : value
  return Object.fromEntries(said.map(([key, value]) => [key, times(key, value)]))
}
