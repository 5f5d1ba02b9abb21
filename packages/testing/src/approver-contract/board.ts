/**
 * Approvals in memory, as a channel meets them: what it hands over is judged as a haldir judges it, and all of it is
 * kept for the cases to look at.
 */
import { createHash } from 'node:crypto'
import { type Approval, type ApproverPort, HaldirError, type Said, type Say, type SayRefusal, usd } from '@haldir/core'
import type { FakeClock } from '../clock.ts'

/** What a channel has handed over, and what came of it. */
export interface Heard {
  readonly id: string
  readonly say: Say
  readonly said: Said
}

export interface Rejected {
  readonly why: string
  readonly id?: string
  readonly by?: string
}

export class Board implements ApproverPort {
  readonly clock: FakeClock
  readonly heard: Heard[] = []
  readonly rejected: Rejected[] = []
  /** Nothing is taken while the store is down. */
  down = false
  readonly #approvals = new Map<string, Approval>()
  readonly #notes = new Map<string, string>()
  #count = 0

  constructor(clock: FakeClock) {
    this.clock = clock
  }

  /** A pending approval. */
  ask(over: Partial<Approval> = {}): Approval {
    const id = `approval-${++this.#count}`
    const { args = { order: 'order-10017', amount: 29.99, note: 'damaged on arrival' } } = over
    const now = this.clock.now()
    const approval: Approval = {
      id,
      state: 'pending',
      tenant: 'acme',
      session: `session-${this.#count}`,
      agent: 'order-bot',
      tool: 'refund',
      digest: digestOf(args),
      reason: 'refunds of more than $20 need a person',
      terms: [{ rule: 'refunds', quorum: 1 }],
      args,
      argsText: textOf(args),
      cost: [usd(29.99)],
      left: [usd(170.01)],
      requester: ['order-bot'],
      votes: [],
      edited: false,
      createdAt: new Date(now),
      expiresAt: new Date(now + 300_000),
      ...over,
    }
    this.#approvals.set(id, approval)
    return approval
  }

  of(id: string): Approval {
    const approval = this.#approvals.get(id)
    if (!approval) throw new Error(`there is no approval \`${id}\``)
    return approval
  }

  /** It ends without this channel: somebody elsewhere has decided, nobody has, or nobody waits any more. */
  end(id: string, state: Exclude<Approval['state'], 'pending'>): Approval {
    const vote = { by: 'elsewhere:somebody', approve: state === 'approved', at: new Date(this.clock.now()) }
    const votes = state === 'approved' || state === 'denied' ? [vote] : []
    return this.#change(id, { state, votes, decidedAt: new Date(this.clock.now()) })
  }

  /** Somebody else has changed the arguments, and more have to say yes to the new ones. */
  edit(id: string, args: unknown): Approval {
    return this.#change(id, { args, argsText: textOf(args), digest: digestOf(args), edited: true })
  }

  async say(id: string, say: Say): Promise<Said> {
    if (this.down) throw new HaldirError('unavailable', '`store.approval.change` failed')
    // As in a store: others come in between.
    await null
    const said = this.#judge(id, say)
    this.heard.push({ id, say: structuredClone(say), said })
    return said
  }

  async get(id: string): Promise<Approval | undefined> {
    if (this.down) throw new HaldirError('unavailable', '`store.approval.get` failed')
    return this.#approvals.get(id)
  }

  async note(id: string): Promise<unknown> {
    const note = this.#notes.get(id)
    return note === undefined ? undefined : JSON.parse(note)
  }

  /** Keeps what `show` has answered, as the text that a store has of it. */
  keep(id: string, note: unknown): void {
    if (note !== undefined && note !== null) this.#notes.set(id, JSON.stringify(note))
  }

  /** The note is lost: the process died after it was shown, and before that was written down. */
  lose(id: string): void {
    this.#notes.delete(id)
  }

  /** All notes there are, as a store has them. */
  get notes(): string {
    return [...this.#notes.values()].join('\n')
  }

  async reject(what: Rejected): Promise<void> {
    this.rejected.push(what)
  }

  readonly random = (bytes: number): Uint8Array =>
    createHash('shake256', { outputLength: bytes })
      .update(`random ${++this.#count}`)
      .digest()

  #judge(id: string, say: Say): Said {
    const approval = this.#approvals.get(id)
    if (!approval) return { ok: false, refused: 'unknown', why: WHY.unknown }
    const refused = this.#whyNot(approval, say)
    if (refused) return { ok: false, refused, why: WHY[refused], approval }
    const at = new Date(this.clock.now())
    const { approve, by, reason } = say
    const votes = [...approval.votes, { by, approve, at, ...(reason === undefined ? {} : { reason }) }]
    const enough = approval.terms.every(({ quorum }) => votes.length >= quorum)
    const state = approve ? (enough ? 'approved' : 'pending') : 'denied'
    const over = state === 'pending' ? {} : { decidedAt: at }
    return { ok: true, approval: this.#change(id, { votes, state, ...over }) }
  }

  #whyNot({ state, expiresAt, digest, terms, requester, votes }: Approval, say: Say): SayRefusal | undefined {
    if (state === 'expired') return 'expired'
    if (state !== 'pending') return 'decided'
    if (this.clock.now() >= expiresAt.getTime()) return 'expired'
    if (say.digest !== undefined && say.digest !== digest) return 'other-digest'
    const names = [say.by, ...(say.groups ?? [])].flatMap((name) => [name, bare(name)])
    if (requester.some((one) => names.includes(one))) return 'self-approval'
    if (!terms.some(({ approvers }) => !approvers || approvers.some((one) => names.includes(one))))
      return 'not-approver'
    return votes.some(({ by, approve }) => by === say.by && approve === say.approve) ? 'voted' : undefined
  }

  #change(id: string, change: Partial<Approval>): Approval {
    const changed = { ...this.of(id), ...change }
    this.#approvals.set(id, changed)
    return changed
  }
}

const WHY: Readonly<Record<SayRefusal, string>> = {
  unknown: 'There is no such approval.',
  decided: 'This was decided already.',
  expired: 'This has expired: nobody decided in time.',
  'not-approver': 'You are not among those who may decide this.',
  'self-approval': 'Who asks for something does not approve it.',
  voted: 'You have said so already; others have to say yes as well.',
  'other-digest': 'This call is not the one that you were shown.',
  invalid: 'This can not be decided like that.',
}

/** What acts on a terminal or hides is shown by its number, as `argsText` has it. */
function textOf(args: unknown): string {
  const unseen = /(?!\n)[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu
  return JSON.stringify(args, null, 2).replace(unseen, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
}

function digestOf(args: unknown): string {
  return createHash('sha256').update(JSON.stringify(args)).digest('hex')
}

function bare(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}
