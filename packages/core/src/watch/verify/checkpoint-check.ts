/** Checks the checkpoints of one chain: who signed them, what they cover, and when they were made. */
import type { Entry } from '../entry.ts'
import { leafOf, Tree, toBase64 } from '../merkle.ts'
import { type Checkpoint, openNote, originOf, parseCheckpoint, splitNote, type Verifier, verifierFor } from '../note.ts'
import type { ProblemKind } from '../verification.ts'
import type { Told } from './told.ts'

export interface CheckpointRules {
  /** Public keys, or none. */
  readonly keys: readonly string[]
  readonly tree: boolean
  readonly heartbeatMs?: number | undefined
}

interface Finding {
  readonly kind: ProblemKind
  readonly message: string
}

const WHY = {
  malformed: 'is no signed note',
  unsigned: 'is not signed by a known key',
  signature: 'has a signature that does not hold',
} as const

export class CheckpointCheck {
  readonly #writer: string
  readonly #rules: CheckpointRules
  #verifiers: readonly Verifier[] | undefined
  /** The last one that holds. */
  #last: Checkpoint | undefined
  /** From this time on there is none. */
  #since: string | undefined
  #rewritten = false
  #tree: Tree | undefined
  /** Of the entries before the last one. */
  #root: string | undefined

  constructor(writer: string, rules: CheckpointRules) {
    this.#writer = writer
    this.#rules = rules
    if (rules.tree) this.#tree = new Tree()
  }

  get last(): Checkpoint | undefined {
    return this.#last
  }

  /** Whether a tree is kept of what is followed. */
  get tree(): boolean {
    return this.#tree !== undefined
  }

  begin(at: string): void {
    this.#since = at
  }

  /** Every entry is a leaf, in order. A tree with a hole is none. */
  grow(seq: number, hash: string, checkpoint = false): void {
    const tree = this.#tree
    // The root that a checkpoint signs is that of the entries before its own.
    this.#root = checkpoint && tree?.size === seq ? toBase64(tree.root()) : undefined
    if (tree?.size === seq) tree.append(leafOf(hash))
    else this.#tree = undefined
  }

  /** A checkpoint entry, which stands in its place in the chain. */
  meet(entry: Told): Finding[] {
    const { seq, prev, at, data } = entry
    const checkpoint = this.#open(data?.note)
    if (typeof checkpoint === 'string') return [bad(seq, checkpoint)]
    const { size, head, time, root } = checkpoint
    if (size !== seq) return [bad(seq, `covers ${size} entries and stands behind ${seq}`)]
    // Invariant: what is signed is what stands here; whoever wrote entries anew could not sign their new head.
    if (head !== prev) {
      if (this.#rewritten) return []
      this.#rewritten = true
      const from = this.#last ? `the checkpoint at ${this.#last.size}` : 'the beginning'
      const message = `something between ${from} and entry ${seq} was written anew: the checkpoint there knows another entry`
      return [{ kind: 'rewritten', message }]
    }
    if (!isOwn(entry, time)) return [bad(seq, 'does not stand in an entry of its own form')]
    const found: Finding[] = []
    if (this.#last && time < this.#last.time) found.push(bad(seq, 'is older than the one before it'))
    if (this.#root !== undefined && this.#root !== root) found.push(bad(seq, 'has another root than its entries'))
    const silent = this.silence(at)
    if (silent) found.push(silent)
    this.#last = checkpoint
    this.#since = time
    return found
  }

  /** Too long without a checkpoint, until then. */
  silence(until: string): Finding | undefined {
    const { heartbeatMs } = this.#rules
    if (heartbeatMs === undefined || this.#since === undefined || until === '') return undefined
    if (!(Date.parse(until) - Date.parse(this.#since) > heartbeatMs)) return undefined
    return {
      kind: 'silence',
      message: `writer \`${this.#writer}\` has no checkpoint between ${this.#since} and ${until}`,
    }
  }

  /** What a checkpoint says, or what is wrong with it. */
  #open(note: unknown): Checkpoint | string {
    const split = splitNote(note)
    const checkpoint = split && parseCheckpoint(split.text)
    if (!checkpoint) return WHY.malformed
    const { keys } = this.#rules
    if (keys.length === 0) {
      // Nobody says who may sign: at least it is of this chain.
      return checkpoint.origin.endsWith(`/${this.#writer}`) ? checkpoint : 'is of another chain'
    }
    this.#verifiers ??= keys.flatMap((key) => verifierFor(key, this.#writer) ?? [])
    if (!this.#verifiers.some(({ name }) => name === checkpoint.origin)) return 'is of another chain or name'
    const opened = openNote(note, this.#verifiers)
    if (opened.problem) return WHY[opened.problem]
    return opened.signatures.some(({ name }) => name === checkpoint.origin) ? checkpoint : WHY.unsigned
  }
}

/**
 * Whether an entry is nothing but the wrapping of its checkpoint. No checkpoint covers the last one's own entry: what could
 * be told by its other members would be told by whoever wrote it.
 */
function isOwn(entry: Told, time: string): boolean {
  const { at, data, tenant, agent, session, chain, held, spent } = entry as Told & Partial<Pick<Entry, Nobody>>
  const nobody = tenant === null && agent === null && session === null
  const empty = [chain, held, spent].every((list) => Array.isArray(list) && list.length === 0)
  const own = Object.keys(entry).join() === MEMBERS && DATA.has(Object.keys(data ?? {}).join())
  return at === time && nobody && empty && own
}

type Nobody = 'tenant' | 'agent' | 'chain' | 'held' | 'spent'

const MEMBERS = 'v,id,writer,seq,at,type,haldir,tenant,agent,session,chain,held,spent,enforced,data,prev,hash'
/** `cosigned`: what witnesses have signed of the checkpoint before; whoever reads it checks their signatures. */
const DATA: ReadonlySet<string> = new Set(['note', 'note,cosigned'])

function bad(seq: number, what: string): Finding {
  return { kind: 'checkpoint', message: `the checkpoint in entry ${seq} ${what}` }
}

/** Reads a checkpoint that was kept elsewhere: of which writer it is, and what it says; or what is wrong with it. */
export function readTrusted(
  note: string,
  keys: readonly string[],
): { writer: string; checkpoint: Checkpoint } | string {
  const split = splitNote(note)
  const checkpoint = split && parseCheckpoint(split.text)
  if (!checkpoint) return WHY.malformed
  const { origin } = checkpoint
  if (keys.length === 0) return { writer: origin.slice(origin.lastIndexOf('/') + 1), checkpoint }
  for (const key of keys) {
    const name = verifierFor(key)?.name
    const writer = name !== undefined && origin.startsWith(`${name}/`) ? origin.slice(name.length + 1) : ''
    const verifier = writer === '' ? undefined : verifierFor(key, writer)
    if (!verifier || originOf(name as string, writer) !== origin) continue
    const opened = openNote(note, [verifier])
    if (!opened.problem) return { writer, checkpoint }
    if (opened.problem === 'signature') return WHY.signature
  }
  return WHY.unsigned
}
