/**
 * Checkpoints: signed heads of a chain (C2SP tlog-checkpoint), as entries of the chain itself. Whoever can write the
 * files can't write what was signed anew without the key, nor cut off what a witness was shown.
 */
import { background, type Clock, within } from '../clock.ts'
import { type Draft, NOBODY } from './chain.ts'
import { leafOf, toBase64 } from './merkle.ts'
import { formatCheckpoint, openNote, originOf, type Signer, signNote, type Verifier, verifierFor } from './note.ts'
import { ProvingTree } from './proving-tree.ts'
import { type Cosigned, type Sealed, type Witness, type WitnessHealth, WitnessLink } from './witness.ts'

export interface NotaryParts {
  readonly signer: Signer
  /** After how many entries there is a checkpoint. */
  readonly every: number
  /** After how long there is one, also when there is nothing new. */
  readonly intervalMs: number
  readonly witnesses: readonly Witness[]
  readonly clock: Clock
  readonly deadlineMs: number
  /** Told what went wrong with the signer or a witness. */
  readonly fault: (part: string, error: unknown) => void
}

export interface CheckpointHealth {
  /** How many checkpoints every required sink has accepted. */
  readonly made: number
  /** How many could not be signed. */
  readonly failed: number
  /** The last one could not be signed. */
  readonly failing: boolean
  readonly witnesses: Readonly<Record<string, WitnessHealth>>
}

/** A checkpoint that is signed; it counts when its entry is accepted. */
export interface Signed extends Sealed {
  readonly draft: Draft
  /** The time that is signed, for its entry. */
  readonly at: number
}

/** So many hashes are put into the tree in one go, between calls if there is time between them. */
const BATCH = 64
/** So many at most wait for that. */
const MOST_WAITING = 1_024

/** Keeps the tree of the chain that is being written, and signs its head. */
export class Notary {
  readonly #parts: NotaryParts
  #origin = ''
  #verifier: Verifier | undefined
  #tree = new ProvingTree()
  /** Hashes of entries that are not in the tree yet. */
  #waiting: string[] = []
  #head = ''
  #links: readonly WitnessLink[] = []
  /** Links of chains that have ended, and may still be sending. */
  readonly #old = new Set<WitnessLink>()
  #cosigned: Cosigned[] = []
  /** What the latest checkpoint covers, and what the latest attempt would have covered. */
  #signed = 0
  #tried = 0
  /** The time of the latest. */
  #at = 0
  #made = 0
  #failed = 0
  #failing = false
  #last = 0
  #stop: (() => void) | undefined

  constructor(parts: NotaryParts) {
    this.#parts = parts
  }

  /** Another chain: another tree, under a name of its own. */
  begin(writer: string): void {
    const { signer, witnesses, clock, deadlineMs, fault } = this.#parts
    this.#origin = originOf(signer.name, writer)
    this.#verifier = verifierFor(signer.publicKey, writer)
    this.#tree = new ProvingTree()
    this.#waiting = []
    this.#signed = 0
    this.#tried = 0
    this.#at = 0
    const cosigned: Cosigned[] = []
    this.#cosigned = cosigned
    for (const link of this.#links) {
      this.#old.add(link)
      void link.settled().then(() => this.#old.delete(link))
    }
    const tree = this.#tree
    const links: WitnessLink[] = witnesses.map(
      (witness) =>
        new WitnessLink({
          witness,
          clock,
          deadlineMs,
          cosigned: (one) => cosigned.push(one),
          moved: () => this.#keep(tree, links),
          fault: (error) => fault(`witness ${witness.name}`, error),
        }),
    )
    this.#links = links
  }

  /** The hash of the entry that was placed last. No more than kept here: this is on every call's way. */
  add(head: string): void {
    this.#head = head
    const waiting = this.#waiting.push(head)
    // While one call follows another without a pause, nothing is done between them.
    if (waiting === BATCH) setImmediate(() => this.#fold()).unref()
    else if (waiting >= MOST_WAITING) this.#fold()
  }

  /** So many entries have come since the last attempt that another is due. */
  get due(): boolean {
    return this.#tree.size + this.#waiting.length - this.#tried >= this.#parts.every
  }

  /** What the latest checkpoint of this chain covers. */
  get signed(): number {
    return this.#signed
  }

  /** Signs the head of the chain. Its entry must be placed in the same turn. `undefined` when the signer fails. */
  sign(now: number): Signed | undefined {
    // A clock that was set back makes none older than the one before: that would look rolled back for ever.
    const at = Math.max(now, this.#at)
    const { signer, clock, fault } = this.#parts
    this.#fold()
    const size = this.#tree.size
    this.#tried = size
    this.#last = clock.monotonic()
    const origin = this.#origin
    try {
      const root = toBase64(this.#tree.root())
      const time = new Date(at).toISOString()
      const note = signNote(formatCheckpoint({ origin, size, root, head: this.#head, time }), signer, origin)
      // A signature that does not hold would make all of the trail look forged.
      const holds = this.#verifier && openNote(note, [this.#verifier]).problem === undefined
      // Invariant: a checkpoint covers every entry before it, and what is signed of a chain is signed once.
      if (!holds || this.#waiting.length > 0 || this.#origin !== origin) throw new RangeError('no signature')
      this.#signed = size
      this.#at = at
      this.#failing = false
      const cosigned = this.#cosigned.splice(0)
      const data = cosigned.length === 0 ? { note } : { note, cosigned }
      if (this.#links.length > 0) this.#tree.mark()
      return { origin, size, note, tree: this.#tree.copy(), draft: { type: 'checkpoint', session: NOBODY, data }, at }
    } catch (error) {
      this.#failed++
      this.#failing = true
      fault('signer', error)
      return undefined
    }
  }

  /** Every required sink has accepted the checkpoint. Only now it is shown to anybody. */
  stands(signed: Signed): void {
    this.#made++
    if (signed.origin !== this.#origin) return
    for (const link of this.#links) link.offer(signed)
    this.#keep(this.#tree, this.#links)
  }

  /** Calls `beat` when there was no checkpoint for as long as the interval. Once: until `close`. */
  start(beat: () => void): void {
    const { clock, intervalMs } = this.#parts
    if (this.#stop) return
    this.#last = clock.monotonic()
    const wait = (): void => {
      const left = intervalMs - (clock.monotonic() - this.#last)
      this.#stop = background(clock, Math.max(1, left), () => {
        if (clock.monotonic() - this.#last >= intervalMs) {
          this.#last = clock.monotonic()
          beat()
        }
        if (this.#stop) wait()
      })
    }
    wait()
  }

  stop(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Resolves when witnesses have answered, or had the time to. */
  async settled(): Promise<void> {
    const { clock, deadlineMs } = this.#parts
    const links = [...this.#links, ...this.#old]
    if (links.length === 0) return
    const all = Promise.all(links.map((link) => link.settled())).then(() => {})
    await within(all, deadlineMs, clock, 'witnesses').catch(() => {})
  }

  async close(): Promise<void> {
    this.stop()
    await this.settled()
    await Promise.allSettled(this.#parts.witnesses.map(async (witness) => witness.close?.()))
  }

  health(): CheckpointHealth {
    const witnesses = Object.fromEntries(this.#links.map((link) => [link.name, link.health()]))
    return { made: this.#made, failed: this.#failed, failing: this.#failing, witnesses }
  }

  #fold(): void {
    for (const hash of this.#waiting) this.#tree.append(leafOf(hash))
    this.#waiting = []
  }

  /** Marks are kept where a witness may have to be taken on from, and nowhere else. */
  #keep(tree: ProvingTree, links: readonly WitnessLink[]): void {
    const wanted = new Set(links.flatMap((link) => link.marks))
    for (const mark of tree.marks) if (!wanted.has(mark)) tree.unmark(mark)
  }
}
