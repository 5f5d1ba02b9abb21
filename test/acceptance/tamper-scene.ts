/** A trail to be tampered with: one chain of many entries of every kind, signed every so often, and hands that change it. */
import { readBlocks } from '../../packages/core/src/sinks/file-blocks.ts'
import type { StoredBlock } from '../../packages/core/src/sinks/sink.ts'
import {
  Chain,
  callFragment,
  type Draft,
  lineHash,
  NOBODY,
  sessionFragment,
  toolFragment,
} from '../../packages/core/src/watch/chain.ts'
import { ENTRY_TYPES } from '../../packages/core/src/watch/entry.ts'
import { leafOf, Tree, toBase64 } from '../../packages/core/src/watch/merkle.ts'
import { createKeys, formatCheckpoint, type Signer, signerOf, signNote } from '../../packages/core/src/watch/note.ts'
import type { Problem, Verification, VerifyOptions } from '../../packages/core/src/watch/verification.ts'
import { verifyTrail } from '../../packages/core/src/watch/verify.ts'

export { readBlocks }

export interface Keys {
  readonly signer: Signer
  readonly publicKey: string
}

export function keysOf(name: string): Keys {
  const { signingKey, publicKey } = createKeys(name)
  return { signer: signerOf(signingKey) as Signer, publicKey }
}

export interface Made {
  readonly writer: string
  /** Each with its newline. */
  readonly lines: readonly string[]
  /** Notes of the checkpoints, the oldest first. */
  readonly notes: readonly string[]
  readonly head: string
}

const tool = toolFragment({ name: 'charge', hash: 'a'.repeat(64) })
const session = sessionFragment({ tenant: 'acme', agent: 'order-bot', id: 's-1', chain: ['s-0'] })
/** Those that a chain has at places of their own. */
const PLACED = new Set(['intent', 'outcome', 'writer-opened', 'writer-closed', 'checkpoint', 'retention'])
const OTHERS = ENTRY_TYPES.filter((type) => !PLACED.has(type))
const SECOND = 1_000

/** Writes the chain of one writer: as many entries, a checkpoint every `every`, and one behind its end. */
export function chainOf(
  entries: number,
  {
    signer,
    every = 100,
    writer = 'w',
    closed = true,
    began = 1.7e12,
    first = {},
    mix = 7,
    root: forged,
    retention,
  }: {
    signer?: Signer | undefined
    every?: number
    writer?: string
    closed?: boolean
    began?: number
    first?: Pick<Draft, 'data'>
    /** Every so many calls there is another entry. */
    mix?: number
    /** What every checkpoint says its root is. */
    root?: string
    /** What its second entry tells of. */
    retention?: Readonly<Record<string, unknown>>
  } = {},
): Made {
  const chain = new Chain(writer, 'haldir')
  const tree = new Tree()
  const lines: string[] = []
  const notes: string[] = []
  const at = () => began + chain.entries * SECOND
  const append = (draft: Draft) => {
    lines.push(chain.append(draft, at()))
    tree.append(leafOf(chain.head))
  }
  const seal = () => {
    if (!signer) return
    const origin = `${signer.name}/${writer}`
    const [size, root, head, time] = [
      chain.entries,
      forged ?? toBase64(tree.root()),
      chain.head,
      new Date(at()).toISOString(),
    ]
    const note = signNote(formatCheckpoint({ origin, size, root, head, time }), signer, origin)
    notes.push(note)
    append({ type: 'checkpoint', session: NOBODY, data: { note } })
  }
  append({ type: 'writer-opened', session: NOBODY, ...first })
  if (retention) append({ type: 'retention', session: NOBODY, data: retention })
  const room = () => entries - (closed ? 2 : 0) - chain.entries
  const step = (draft: Draft) => {
    if (signer && chain.entries % every === every - 1) seal()
    append(draft)
  }
  for (let n = 0; room() > 0; n++) {
    const call = callFragment({ id: `${writer}-call-${n}`, digest: 'b'.repeat(64) }, tool, 'acme.1')
    if (n % mix === mix - 1 || room() < 4) {
      const type = OTHERS[Math.floor(n / mix) % OTHERS.length] as Draft['type']
      step({ type, session, data: { n, text: 'größer "als"' } })
    } else {
      step({ type: 'intent', session, call, verdict: 'allow', rule: 'scope:spend' })
      step({ type: 'outcome', session, call, durationMs: 1, data: { ended: 'ok' } })
    }
  }
  if (closed) {
    append({ type: 'writer-closed', session: NOBODY })
    seal()
  }
  return { writer, lines, notes, head: chain.head }
}

/** The lines as one file, as the reader of a folder would hand them over. */
export function block(lines: readonly string[] | Buffer, about: Partial<StoredBlock> = {}): StoredBlock[] {
  const bytes = Buffer.isBuffer(lines) ? lines : Buffer.from(lines.join(''))
  const end = bytes.lastIndexOf(10) + 1
  const { writer = 'w', number = 1 } = about
  const file = `audit-${writer}-${number}.jsonl`
  const blocks = [{ writer, number, file, ...about, bytes: bytes.subarray(0, end) }]
  return end < bytes.length
    ? [...blocks, { writer, number, file, ...about, bytes: bytes.subarray(end), torn: true }]
    : blocks
}

export function verifyBytes(lines: readonly string[] | Buffer, options: VerifyOptions = {}): Promise<Verification> {
  return verifyTrail({ readBlocks: () => block(lines) }, options)
}

export const kindsOf = ({ problems }: { problems: readonly Problem[] }) => [
  ...new Set(problems.map(({ kind }) => kind)),
]

/** What someone does who can write the files and can't sign: every line from `from` on is hashed and linked anew. */
export function hashedAnew(lines: readonly string[], from: number, change: (line: string) => string): string[] {
  let prev = from === 0 ? '0'.repeat(64) : hashOf(lines[from - 1] as string)
  return lines.map((line, index) => {
    if (index < from) return line
    const body = (index === from ? change(line) : line)
      .replace(/,"hash":"[0-9a-f]{64}"\}\n$/, '')
      .replace(/"prev":"[0-9a-f]{64}"$/, `"prev":"${prev}"`)
    prev = lineHash(`${body}}`)
    return `${body},"hash":"${prev}"}\n`
  })
}

export function hashOf(line: string): string {
  return (JSON.parse(line) as { hash: string }).hash
}
