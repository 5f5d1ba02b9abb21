/** Checking an export: that it is what its manifest says, and that the manifest is signed. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { checkKeys } from '../options.ts'
import { lineHash } from './chain.ts'
import { manifestOf } from './export-target.ts'
import { invalid } from './filter.ts'
import { type Manifest, openManifest } from './manifest.ts'
import { verifierFor } from './note.ts'

export type ExportProblemKind =
  /** There is no manifest, or it is none. */
  | 'manifest'
  /** No signature of this key stands under the manifest. */
  | 'unsigned'
  /** The key is named, and has not signed this. */
  | 'signature'
  /** The export can not be read. */
  | 'unreadable'
  /** It is longer or shorter than the manifest says. */
  | 'bytes'
  /** It is not what the manifest is about. */
  | 'sha256'
  /** A line is not what its own hash says: it was changed before it was exported. */
  | 'entry'

export interface CheckedExport {
  readonly ok: boolean
  /** Whether the manifest is signed by the key that was given. */
  readonly signed: boolean
  readonly problems: readonly { readonly kind: ExportProblemKind; readonly message: string }[]
  /** What the manifest says; absent when it can't be relied on. */
  readonly manifest?: Manifest
}

/**
 * Checks the export in a file by the manifest beside it. `publicKey` is that of the signer; without it only hashes are
 * compared, which anybody could have made. Throws `ConfigError` for a key that is none; what is wrong with the files is
 * in the answer.
 */
export async function checkExport(
  path: string,
  publicKey?: string,
  options: { readonly manifest?: string } = {},
): Promise<CheckedExport> {
  checkKeys(options, ['manifest'], 'options of `checkExport`')
  const key = publicKey === undefined ? undefined : verifierFor(publicKey)
  if (publicKey !== undefined && !key) throw invalid('publicKey', 'is not a public key')
  const text = await readFile(options.manifest ?? manifestOf(path), 'utf8').catch(() => undefined)
  const opened = text === undefined ? undefined : openManifest(text, key)
  if (!opened || opened.problem !== undefined) return failed(opened?.problem)
  const { manifest, signed } = opened
  const problems = await compare(path, manifest)
  return { ok: problems.length === 0, signed, problems, manifest }
}

type Problems = CheckedExport['problems']

function failed(problem: 'malformed' | 'unsigned' | 'signature' | undefined): CheckedExport {
  const all = {
    malformed: { kind: 'manifest', message: 'the manifest is not one' },
    unsigned: { kind: 'unsigned', message: 'the manifest is not signed by this key' },
    signature: { kind: 'signature', message: 'the signature is not one of this key over this manifest' },
    missing: { kind: 'manifest', message: 'there is no manifest that can be read' },
  } as const
  return { ok: false, signed: false, problems: [all[problem ?? 'missing']] }
}

async function compare(path: string, { format, bytes, sha256 }: Manifest): Promise<Problems> {
  const hash = createHash('sha256')
  const lines = format === 'jsonl' ? new Lines() : undefined
  let size = 0
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      size += chunk.length
      lines?.take(chunk)
    }
  } catch {
    return [{ kind: 'unreadable', message: 'the export can not be read' }]
  }
  if (size !== bytes) return [{ kind: 'bytes', message: `the export has ${size} bytes, not ${bytes}` }]
  if (hash.digest('hex') !== sha256) return [{ kind: 'sha256', message: 'the export was changed' }]
  if (!lines?.changed) return []
  return [{ kind: 'entry', message: `line ${lines.changed} is not what its own hash says` }]
}

const NEWLINE = 10
const HASH = /,"hash":"([0-9a-f]{64})"\}$/

/** Holds every line against its own hash. */
class Lines {
  /** The number of the first line that does not fit, from 1. */
  changed = 0
  #rest: Buffer[] = []
  #number = 0

  take(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...this.#rest, chunk.subarray(start, end)]).toString('utf8')
      this.#rest = []
      start = end + 1
      this.#number++
      const stated = HASH.exec(line)?.[1]
      const fits = stated !== undefined && lineHash(`${line.slice(0, -',"hash":""}'.length - 64)}}`) === stated
      if (!fits) this.changed ||= this.#number
    }
    if (start < chunk.length) this.#rest.push(Buffer.from(chunk.subarray(start)))
  }
}
