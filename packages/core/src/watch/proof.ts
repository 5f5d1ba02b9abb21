/**
 * Proofs that an entry is in a trail, or that one checkpoint continues another: checked with nothing but the public key.
 * They come from outside: the answer is a value, and nothing here throws on them.
 */
import { lineHash } from './chain.ts'
import { fromBase64, type Hash, leafOf, verifyConsistency, verifyInclusion } from './merkle.ts'
import { type Checkpoint, openNote, originOf, parseCheckpoint, type Signature, splitNote, verifierFor } from './note.ts'

/** That one entry is in the chain which a checkpoint is about. */
export interface InclusionProof {
  /** The line of the entry, as it stands in the trail. */
  readonly entry: string
  /** Its place in the chain. */
  readonly index: number
  /** How many entries the checkpoint covers. */
  readonly size: number
  /** Hashes in base64, from the leaf's neighbour to the child of the root (RFC 6962, 2.1.1). */
  readonly path: readonly string[]
  /** The signed note. */
  readonly checkpoint: string
}

/** That the entries of one checkpoint are the first ones of another. */
export interface ConsistencyProof {
  readonly older: string
  readonly newer: string
  /** Hashes in base64 (RFC 6962, 2.1.2). */
  readonly path: readonly string[]
}

export type ProofProblem =
  /** Something is not of the shape it must have. */
  | 'malformed'
  /** What it is to be checked with is not a public key. */
  | 'key'
  /** The key has not signed the checkpoint. */
  | 'unsigned'
  /** There is a signature in the key's name that does not hold. */
  | 'signature'
  /** The entry was changed, or is not one of this chain, or not the one at this place. */
  | 'entry'
  /** The hashes do not lead to the root that was signed. */
  | 'path'

export type CheckedInclusion =
  | {
      readonly ok: true
      readonly entry: string
      readonly checkpoint: Checkpoint
      readonly cosigned: readonly Signature[]
    }
  | { readonly ok: false; readonly problem: ProofProblem }

export type CheckedConsistency =
  | { readonly ok: true; readonly older: Checkpoint; readonly newer: Checkpoint }
  | { readonly ok: false; readonly problem: ProofProblem }

/** A path is as long as the tree is high, and no tree has 2^53 leaves. */
const HIGHEST = 64

/**
 * Whether the proof holds: an object, or the text of `tlogProof`. `publicKey` is the one that `createSigningKey` made;
 * `witnesses` are keys whose cosignatures are looked for, and answered in `cosigned`. Never throws.
 */
export function checkInclusion(
  proof: InclusionProof | string,
  publicKey: string,
  witnesses: readonly string[] = [],
): CheckedInclusion {
  const whole = typeof proof === 'string' ? parseTlogProof(proof) : proof
  const path = pathOf(whole?.path)
  if (!whole || !path || typeof whole.entry !== 'string') return refused('malformed')
  const entry = placeOf(whole.entry)
  if (!entry) return refused('entry')
  const opened = openCheckpoint(whole.checkpoint, publicKey, entry.writer, witnesses)
  if ('problem' in opened) return refused(opened.problem)
  const { checkpoint, cosigned } = opened
  const { size, root } = checkpoint
  if (size !== whole.size || entry.seq !== whole.index) return refused('entry')
  const holds = verifyInclusion(entry.seq, size, leafOf(entry.hash), path, fromBase64(root) as Hash)
  return holds ? { ok: true, entry: whole.entry, checkpoint, cosigned } : refused('path')
}

/** Whether the newer checkpoint continues the older one. Never throws. */
export function checkConsistency(proof: ConsistencyProof, publicKey: string): CheckedConsistency {
  const path = pathOf(proof?.path)
  const writer = writerOf(proof?.older, publicKey)
  if (!path || writer === undefined) return refused('malformed')
  const older = openCheckpoint(proof.older, publicKey, writer)
  if ('problem' in older) return refused(older.problem)
  const newer = openCheckpoint(proof.newer, publicKey, writer)
  if ('problem' in newer) return refused(newer.problem)
  const [from, to] = [older.checkpoint, newer.checkpoint]
  const roots = [fromBase64(from.root) as Hash, fromBase64(to.root) as Hash] as const
  return verifyConsistency(from.size, to.size, ...roots, path) ? { ok: true, older: from, newer: to } : refused('path')
}

/** A checkpoint of this writer, signed by this key. */
export function openCheckpoint(
  note: unknown,
  publicKey: string,
  writer: string,
  witnesses: readonly string[] = [],
):
  | { readonly checkpoint: Checkpoint; readonly cosigned: readonly Signature[] }
  | { readonly problem: 'malformed' | 'key' | 'unsigned' | 'signature' } {
  const key = verifierFor(publicKey, writer)
  const others = Array.isArray(witnesses) ? witnesses.map((witness) => verifierFor(witness)) : [undefined]
  if (!key || others.includes(undefined)) return { problem: 'key' }
  const opened = openNote(note, [key, ...others.filter((other) => other !== undefined)])
  if (opened.problem !== undefined) return { problem: opened.problem }
  const { signatures } = opened
  const checkpoint = parseCheckpoint(opened.text)
  if (!checkpoint) return { problem: 'malformed' }
  const own = signatures.some(({ name, id }) => name === key.name && id === key.id)
  if (!own || checkpoint.origin !== key.name) return { problem: 'unsigned' }
  return { checkpoint, cosigned: signatures.filter(({ name, id }) => name !== key.name || id !== key.id) }
}

/** The proof as text (C2SP tlog-proof), to be kept in a file `.tlog-proof`. The entry stands in its `extra` line. */
export function tlogProof({ entry, index, path, checkpoint }: InclusionProof): string {
  const extra = Buffer.from(entry).toString('base64')
  return `c2sp.org/tlog-proof@v1\nextra ${extra}\nindex ${index}\n${path.map((hash) => `${hash}\n`).join('')}\n${checkpoint}`
}

const TLOG_PROOF =
  /^c2sp\.org\/tlog-proof@v1\nextra ([A-Za-z0-9+/]+={0,2})\nindex (0|[1-9]\d{0,15})\n((?:.+\n){0,64})\n/

/** `undefined` for what `tlogProof` does not make. */
export function parseTlogProof(text: string): InclusionProof | undefined {
  const [head, extra, index, hashes = ''] = TLOG_PROOF.exec(text) ?? []
  if (head === undefined || extra === undefined) return undefined
  const checkpoint = text.slice(head.length)
  const size = parseCheckpoint(splitNote(checkpoint)?.text ?? '')?.size
  const entry = Buffer.from(extra, 'base64')
  if (size === undefined || entry.toString('base64') !== extra) return undefined
  return { entry: entry.toString(), index: Number(index), size, path: hashes.split('\n').slice(0, -1), checkpoint }
}

interface Place {
  readonly writer: string
  readonly seq: number
  readonly hash: string
}

const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}$/

/** What an entry says of itself; `undefined` when its hash is not that of its text. */
function placeOf(line: string): Place | undefined {
  const hash = HASH_MEMBER.exec(line)?.[1]
  if (hash === undefined || lineHash(`${line.slice(0, -HASH_SUFFIX)}}`) !== hash) return undefined
  try {
    const { writer, seq, id } = JSON.parse(line) as Partial<Record<'writer' | 'seq' | 'id', unknown>>
    const sound = typeof writer === 'string' && Number.isSafeInteger(seq) && id === `${writer}:${seq}`
    return sound ? { writer, seq: seq as number, hash } : undefined
  } catch {
    return undefined
  }
}

const HASH_SUFFIX = ',"hash":""}'.length + 64

function pathOf(path: unknown): readonly Hash[] | undefined {
  if (!Array.isArray(path) || path.length > HIGHEST) return undefined
  const hashes = path.map(fromBase64)
  return hashes.includes(undefined) ? undefined : (hashes as Hash[])
}

/** Whose chain a note is about, if it is one of this key's. */
export function writerOf(note: unknown, publicKey: unknown): string | undefined {
  const origin = parseCheckpoint(splitNote(note)?.text ?? '')?.origin
  const name = verifierFor(publicKey)?.name
  if (origin === undefined || name === undefined) return undefined
  const prefix = originOf(name, '')
  return origin.startsWith(prefix) ? origin.slice(prefix.length) : undefined
}

function refused(problem: ProofProblem): { readonly ok: false; readonly problem: ProofProblem } {
  return { ok: false, problem }
}
