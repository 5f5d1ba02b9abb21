/** Makes proofs from a trail as it is stored: one pass, with memory that does not grow with the trail. */
import { HaldirError } from '../errors.ts'
import type { StoredLine } from '../sinks/sink.ts'
import { leafOf, toBase64 } from './merkle.ts'
import { type Checkpoint, parseCheckpoint, splitNote } from './note.ts'
import { type ConsistencyProof, type InclusionProof, tlogProof } from './proof.ts'
import { ProvingTree } from './proving-tree.ts'
import { areLines, type Cosigned } from './witness.ts'

export interface ProveOptions {
  /** Against the checkpoint that covers so many entries; the latest that witnesses have signed unless given, or else the latest. */
  readonly size?: number
}

/** A proof of one entry, and the same as text. */
export interface ProvenEntry extends InclusionProof {
  /** C2SP tlog-proof, to be kept in a file. */
  readonly text: string
}

/** A checkpoint met on the way through a chain. */
interface Met extends Checkpoint {
  readonly note: string
  /** What witnesses have signed of those before. */
  readonly cosigned: readonly Cosigned[]
}

/** One that covers the entry, and the tree as it was there. */
interface Candidate {
  readonly met: Met
  readonly tree: ProvingTree
  note: string
}

/** Witnesses are late; more checkpoints than this they are not waited for. */
const KEPT = 8

/**
 * That the entry is in the chain that a checkpoint has signed. Throws `HaldirError`: `unknown-entry` when there is none
 * of this id, `not-covered` when no checkpoint covers it yet, `not-consistent` when the trail is not what was signed.
 */
export async function prove(
  lines: AsyncIterable<StoredLine>,
  id: string,
  { size }: ProveOptions = {},
): Promise<ProvenEntry> {
  const [, writer, digits] = /^(.{1,200}):(0|[1-9]\d{0,15})$/.exec(String(id)) ?? []
  const index = Number(digits)
  if (writer === undefined) throw unknownEntry()
  const tree = new ProvingTree([index, index + 1])
  let entry: string | undefined
  let latest: Candidate | undefined
  let witnessed: Candidate | undefined
  const candidates: Candidate[] = []
  for await (const line of chainOf(lines, writer)) {
    if (tree.size === index) entry = line
    const met = checkpointIn(line, writer, tree)
    for (const { size: at, signatures } of met?.cosigned ?? []) {
      const candidate = candidates.find((one) => one.met.size === at)
      if (!candidate) continue
      for (const signature of signatures) candidate.note += `${signature}\n`
      witnessed = candidate
    }
    if (met && met.size > index && (size === undefined || met.size === size)) {
      latest = { met, tree: tree.copy(), note: met.note }
      candidates.push(latest)
      if (candidates.length > KEPT) candidates.shift()
    }
    tree.append(leafIn(line))
  }
  if (entry === undefined) throw unknownEntry()
  // One that others have signed as well proves more.
  const found = witnessed ?? latest
  if (!found) throw new HaldirError('not-covered', 'no checkpoint covers this entry yet')
  if (toBase64(found.tree.root()) !== found.met.root) throw inconsistent()
  const path = found.tree.inclusion(index).map(toBase64)
  const proof = { entry, index, size: found.met.size, path, checkpoint: found.note }
  return { ...proof, text: tlogProof(proof) }
}

/**
 * That the chain which `older` is about has only been appended to since, up to `newer` or the latest checkpoint. Throws
 * `HaldirError` as `prove` does; `not-consistent` means that the trail does not continue what was signed.
 */
export async function proveConsistency(
  lines: AsyncIterable<StoredLine>,
  older: string,
  newer?: string,
): Promise<ConsistencyProof> {
  const from = readCheckpoint(older, 'older')
  const to = newer === undefined ? undefined : readCheckpoint(newer, 'newer')
  if (to && (to.origin !== from.origin || to.size < from.size)) throw inconsistent()
  const writer = from.origin.slice(from.origin.lastIndexOf('/') + 1)
  const tree = new ProvingTree([from.size])
  let rootThen: string | undefined
  let found: { readonly note: string; readonly root: string; readonly tree: ProvingTree } | undefined
  const note = (line: string | undefined): void => {
    if (tree.size === from.size) rootThen = toBase64(tree.root())
    if (to ? tree.size !== to.size : line === undefined) return
    const met = to && newer !== undefined ? { ...to, note: newer } : checkpointIn(line as string, writer, tree)
    if (met && met.size >= from.size) found = { note: met.note, root: met.root, tree: tree.copy() }
  }
  for await (const line of chainOf(lines, writer)) {
    note(line)
    tree.append(leafIn(line))
  }
  note(undefined)
  if (rootThen === undefined || rootThen !== from.root) throw inconsistent()
  if (!found) throw new HaldirError('not-covered', 'there is no later checkpoint of this chain')
  if (toBase64(found.tree.root()) !== found.root) throw inconsistent()
  return { older, newer: found.note, path: found.tree.consistency(from.size).map(toBase64) }
}

/** The whole lines of one writer, in order. */
async function* chainOf(lines: AsyncIterable<StoredLine>, writer: string): AsyncGenerator<string> {
  let first = true
  for await (const stored of lines) {
    if (stored.writer !== writer || stored.torn) continue
    // A sink that has let go of the beginning has let go of what the tree begins with.
    if (first && stored.resumes) throw new HaldirError('not-covered', 'the sink does not hold the whole chain')
    first = false
    yield stored.line
  }
}

/** The checkpoint that stands here, if it is about all that is before it. */
function checkpointIn(line: string, writer: string, tree: ProvingTree): Met | undefined {
  if (!line.includes('"type":"checkpoint"')) return undefined
  try {
    const { type, data } = JSON.parse(line) as { type: unknown; data: { note: string; cosigned?: unknown } }
    if (type !== 'checkpoint') return undefined
    const checkpoint = parseCheckpoint(splitNote(data.note)?.text ?? '')
    if (checkpoint?.size !== tree.size || !checkpoint.origin.endsWith(`/${writer}`)) return undefined
    return { ...checkpoint, note: data.note, cosigned: cosignedIn(data.cosigned) }
  } catch {
    return undefined
  }
}

/** Only what a note can end in. */
function cosignedIn(data: unknown): Cosigned[] {
  if (!Array.isArray(data)) return []
  return data.filter(({ size, signatures }) => Number.isSafeInteger(size) && areLines(signatures))
}

const HASH_MEMBER = /"hash":"([0-9a-f]{64})"\}$/

function leafIn(line: string): string {
  const hash = HASH_MEMBER.exec(line)?.[1]
  if (hash === undefined) throw inconsistent()
  return leafOf(hash)
}

function readCheckpoint(note: unknown, what: string): Checkpoint {
  const checkpoint = parseCheckpoint(splitNote(note)?.text ?? '')
  if (!checkpoint) throw new HaldirError('malformed', `\`${what}\` is not a checkpoint`)
  return checkpoint
}

function unknownEntry(): HaldirError {
  return new HaldirError('unknown-entry', 'the trail holds no entry of this id')
}

function inconsistent(): HaldirError {
  return new HaldirError('not-consistent', 'the trail is not what was signed')
}
