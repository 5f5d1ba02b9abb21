/**
 * What an export says of itself: a text of lines, and, when it is signed, a C2SP signed note over it. Whoever has the
 * file, the manifest and the public key needs nobody's word that the one is what the other says.
 */
import { openNote, type Signer, signNote, splitNote, type Verifier } from './note.ts'

/** How far the chain of one writer was read. */
export interface ExportedWriter {
  readonly id: string
  /** `seq` of the first and of the last entry that was read, whether or not it was asked for. */
  readonly from: number
  readonly to: number
  /** Hash of the last. */
  readonly head: string
}

export interface Manifest {
  readonly format: 'jsonl' | 'csv'
  /** What was asked for, times as RFC 3339. */
  readonly filter: Readonly<Record<string, unknown>>
  readonly entries: number
  readonly bytes: number
  /** SHA-256 of the export, hex. */
  readonly sha256: string
  /** When it was made, by haldir's clock. */
  readonly time: string
  readonly writers: readonly ExportedWriter[]
}

const HEAD = 'haldir-export/v1'

/** The text that is signed: every line but the first is a word and what it says. */
export function formatManifest(manifest: Manifest): string {
  const { format, filter, entries, bytes, sha256, time, writers } = manifest
  const lines = [HEAD, `format ${format}`, `filter ${JSON.stringify(filter)}`, `entries ${entries}`, `bytes ${bytes}`]
  lines.push(`sha256 ${sha256}`, `time ${time}`)
  for (const { id, from, to, head } of writers) lines.push(`writer ${JSON.stringify({ id, from, to, head })}`)
  return `${lines.join('\n')}\n`
}

export function signManifest(text: string, signer: Signer | undefined): string {
  return signer ? signNote(text, signer) : text
}

export type OpenedManifest =
  | { readonly manifest: Manifest; readonly signed: boolean; readonly problem?: undefined }
  | { readonly problem: 'malformed' | 'unsigned' | 'signature' }

/** Reads a manifest. With a key it must be signed by it; without one, it says what it says. Never throws. */
export function openManifest(text: string, key: Verifier | undefined): OpenedManifest {
  const signed = splitNote(text)
  if (key) {
    const opened = openNote(text, [key])
    // One that nobody has signed is a manifest all the same, and worth nothing here.
    if (opened.problem !== undefined) return { problem: signed || !parseManifest(text) ? opened.problem : 'unsigned' }
  }
  const manifest = parseManifest(signed ? signed.text : text)
  return manifest ? { manifest, signed: key !== undefined } : { problem: 'malformed' }
}

// Not `.`: that ends at U+2028, too, which JSON leaves as it is.
const LINES = new RegExp(
  `^${HEAD}\nformat (jsonl|csv)\nfilter (\\{[^\n]*\\})\nentries (\\d{1,15})\nbytes (\\d{1,15})\nsha256 ([0-9a-f]{64})\ntime (\\S+)\n((?:writer \\{[^\n]*\\}\n)*)$`,
)

function parseManifest(text: string): Manifest | undefined {
  const [, format, filter = '', entries, bytes, sha256 = '', time = '', rest = ''] = LINES.exec(text) ?? []
  if (format === undefined) return undefined
  try {
    const writers = rest.split('\n').slice(0, -1)
    return {
      format: format as Manifest['format'],
      filter: JSON.parse(filter),
      entries: Number(entries),
      bytes: Number(bytes),
      sha256,
      time,
      writers: writers.map((line) => JSON.parse(line.slice('writer '.length)) as ExportedWriter),
    }
  } catch {
    return undefined
  }
}
