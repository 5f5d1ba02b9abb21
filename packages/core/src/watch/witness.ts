/** Who else is shown checkpoints, so that a chain can't be cut off behind the last one, or rewritten, unnoticed. */
import { type Clock, type MaybePromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { toBase64 } from './merkle.ts'
import type { ProvingTree } from './proving-tree.ts'

/** A second place for checkpoints, best in other hands: a witness of C2SP tlog-witness, a file on another machine. */
export interface Witness {
  /** A short name for `health()`; no other witness has it. */
  readonly name: string
  /**
   * Takes a checkpoint of one chain, larger than those before. Throws when it does not; the next one is offered then.
   * What it answers may be nothing at all.
   */
  add(checkpoint: WitnessedCheckpoint): MaybePromise<WitnessAnswer | undefined>
  /** The notes that it was given, the last of each chain at least; for `verify`. Throws when it can't be asked. */
  kept?(): MaybePromise<readonly string[]>
  close?(): MaybePromise<void>
}

export interface WitnessedCheckpoint {
  /** Names the chain: each writer has its own. */
  readonly origin: string
  /** How many entries it covers. */
  readonly size: number
  /** The signed note. */
  readonly note: string
  /** How many the one covered that this witness has taken last; 0 before the first. */
  readonly oldSize: number
  /** That the entries of that one are the first of this one: hashes in base64 (RFC 6962, 2.1.2). */
  readonly proof: readonly string[]
}

export type WitnessAnswer =
  /** Signature lines of the witness over the checkpoint (C2SP tlog-cosignature). */
  | { readonly cosignatures: readonly string[] }
  /** It does not know `oldSize`: the last one that it took covered so many. */
  | { readonly size: number }

/** A checkpoint that every required sink has accepted, and the tree as it was then. */
export interface Sealed {
  readonly origin: string
  readonly size: number
  readonly note: string
  readonly tree: ProvingTree
}

/** What a witness has signed, as it stands in the next checkpoint. */
export interface Cosigned {
  /** Which checkpoint: the one that covers so many entries. */
  readonly size: number
  readonly signatures: readonly string[]
}

export interface WitnessHealth {
  /** How many entries of the present chain the latest checkpoint covers that it has taken. */
  readonly size: number
  /** How many times it has not taken one. */
  readonly failed: number
}

export interface LinkParts {
  readonly witness: Witness
  readonly clock: Clock
  readonly deadlineMs: number
  readonly cosigned: (cosigned: Cosigned) => void
  /** Called when other sizes matter than before. */
  readonly moved: () => void
  readonly fault: (error: unknown) => void
}

/** More than a witness has reason to sign with, and more than a signature is long. */
const MOST_LINES = 16
const LINE = /^— [^\s+]{1,200} [A-Za-z0-9+/]{8,10000}={0,2}$/
/** Signature lines, as a note ends in them. */
export function areLines(lines: unknown): lines is readonly string[] {
  return (
    Array.isArray(lines) &&
    lines.length <= MOST_LINES &&
    lines.every((line) => typeof line === 'string' && LINE.test(line))
  )
}

/** How many checkpoints may be kept of which nobody knows whether the witness has taken them. */
const MOST_LOST = 8

/** The way of one chain's checkpoints to one witness: one at a time, and of those that wait only the latest. */
export class WitnessLink {
  readonly #parts: LinkParts
  /** What the witness says it has, and what it has answered for as it should. */
  #known = 0
  #taken = 0
  /** What it may have taken: the answer was lost. */
  readonly #lost = new Set<number>()
  #flying: number | undefined
  #next: Sealed | undefined
  #busy = false
  #running: Promise<void> | undefined
  #failed = 0

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  get name(): string {
    return this.#parts.witness.name
  }

  /** The sizes that the next proof may have to begin at. */
  get marks(): readonly number[] {
    const coming = [this.#flying, this.#next?.size].filter((size) => size !== undefined)
    return [this.#known, ...this.#lost, ...coming]
  }

  health(): WitnessHealth {
    return { size: this.#taken, failed: this.#failed }
  }

  /** Never throws, never waits. */
  offer(sealed: Sealed): void {
    this.#next = sealed
    // Not known by its promise: that settles after the last look at what is next.
    if (!this.#busy) this.#running = this.#run()
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#busy) await this.#running
  }

  async #run(): Promise<void> {
    this.#busy = true
    for (let sealed = this.#next; sealed; sealed = this.#next) {
      this.#next = undefined
      this.#flying = sealed.size
      try {
        const known = await this.#send(sealed)
        // An answer of another size tells where to begin, once: whoever changes his mind again is no witness.
        if (known !== undefined) {
          this.#moveTo(known)
          if ((await this.#send(sealed)) !== undefined) throw new Unavailable('the witness knows another chain')
        }
        this.#moveTo(sealed.size)
        this.#taken = sealed.size
      } catch (error) {
        this.#failed++
        this.#parts.fault(error)
        this.#lose(sealed.size)
      } finally {
        this.#flying = undefined
        this.#parts.moved()
      }
    }
    this.#busy = false
  }

  /** `undefined`: taken. A size: the witness has taken that one last, and this one not. */
  async #send({ origin, size, note, tree }: Sealed): Promise<number | undefined> {
    const { witness, clock, deadlineMs, cosigned } = this.#parts
    const oldSize = this.#known
    const proof = tree.consistency(oldSize).map(toBase64)
    const asked = Promise.resolve(witness.add({ origin, size, note, oldSize, proof }))
    const answer = await within(asked, deadlineMs, clock, `witness ${this.name}`, false)
    if (answer === undefined || answer === null) return undefined
    if ('size' in answer) {
      const known = answer.size
      // Only what it was sent can be what it has, or nothing: then it has forgotten.
      if (known === 0 || (known !== oldSize && this.#lost.has(known))) return known
      throw new Unavailable('the witness knows another chain')
    }
    const lines = answer.cosignatures
    if (!areLines(lines)) throw new Unavailable('the witness answered nonsense')
    if (lines.length > 0) cosigned({ size, signatures: [...lines] })
    return undefined
  }

  #moveTo(size: number): void {
    this.#known = size
    this.#lost.clear()
  }

  #lose(size: number): void {
    this.#lost.add(size)
    for (const oldest of this.#lost) if (this.#lost.size > MOST_LOST) this.#lost.delete(oldest)
  }
}
