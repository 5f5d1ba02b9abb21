/** How a chain begins. */
import { Unavailable } from '../errors.ts'
import { Chain, type Draft, NOBODY } from './chain.ts'
import type { Signed } from './checkpoints.ts'
import type { Stand, TrailParts } from './trail-parts.ts'

export interface Opening {
  readonly chain: Chain
  /** What is offered to every sink, as one write. */
  readonly lines: string
  /** The first entry. */
  readonly draft: Draft
  readonly at: number
  /** The checkpoint that covers it, where heads are signed. */
  readonly signed?: Signed
}

export function emptyChain({ haldir, enforced }: TrailParts, writer: string): Chain {
  return new Chain(writer, haldir, enforced)
}

/**
 * A chain with its first entry and, where heads are signed, a checkpoint that covers it. Throws `Unavailable` when it
 * can't be signed: nothing has begun then.
 */
export function openingOf(parts: TrailParts, writer: string, before: Stand | undefined): Opening {
  const { clock, notary } = parts
  const chain = emptyChain(parts, writer)
  const at = clock.now()
  const draft: Draft = { type: 'writer-opened', session: NOBODY, ...(before && { data: { after: before } }) }
  const first = chain.append(draft, at)
  if (!notary) return { chain, lines: first, draft, at }
  notary.begin(writer)
  notary.add(chain.head)
  const signed = notary.sign(at)
  if (!signed) throw new Unavailable('the trail could not be signed')
  // Invariant: one write: whenever this process dies, no chain of its own is there that nobody has signed.
  const lines = first + chain.append(signed.draft, signed.at)
  notary.add(chain.head)
  return { chain, lines, draft, at, signed }
}

/** Begins at once, and never rejects: an entry that is refused waits for the sink, or is said again by the next writer. */
export function quietly(append: () => unknown): Promise<void> {
  return (async () => void (await append()))().catch(() => {})
}
