import { inspect } from 'node:util'
import type { Approval, Approver, MaybePromise, Say } from '@haldir/core'
import { expect } from 'vitest'
import { type FakeClock, fakeClock } from '../clock.ts'
import { type Case, inTime } from '../suite.ts'
import { Board } from './board.ts'

/** Something that people have before them: a card, a message, a question. */
export interface Shown {
  /** The id of the approval that it is about. */
  readonly approval: string
  /** All that a person reads there now, what became of it included. */
  readonly text: string
  /** The same as what displays it gets it, with its markup. `text` unless given. */
  readonly raw?: string
  /** Whether somebody could say yes from there, now. */
  readonly canApprove: boolean
}

/** Somebody whom the channel knows. */
export interface Person {
  /** What the driver calls him. */
  readonly name: string
  /** Who decides, as the channel has to tell Haldir: `slack:U123`. */
  readonly by: string
}

/** What a person does. */
export interface PersonAnswer {
  /** The id of the approval. */
  readonly approval: string
  readonly approve: boolean
  readonly person: Person
  readonly reason?: string
}

/** What a test of the contract gets: a channel of its own, and ways to its people that only its driver knows. */
export interface OpenedApprover {
  /** As it would stand in `approvers`; `open` is called by the cases. */
  readonly approver: Approver
  /** Somebody who may use the channel, and somebody else, unless there can't be another. */
  readonly people: readonly [Person, Person?]
  /** The same channel as another process has it: of its own, with the same other side. The case opens and closes it. */
  another?(): Approver
  /** What people have before them now, each thing once and as it reads by now, the oldest first. */
  shown(): MaybePromise<readonly Shown[]>
  /** Lets a person answer, by what was last shown of the approval; answers what he is told, when he is told. */
  decide?(answer: PersonAnswer): MaybePromise<string>
  /**
   * Messages that must not count, each by what is wrong with it, such as `wrong signature`; each tries to say yes to the
   * approval of this id.
   */
  readonly forgeries?: Readonly<Record<string, (approval: string) => MaybePromise<void>>>
  /** Delivers what the last `decide` has sent once more, byte for byte. */
  replay?(): MaybePromise<void>
  /** From now on the other side can't be reached (`down`), or takes everything and never answers (`hang`). */
  break?(how: 'down' | 'hang'): MaybePromise<void>
  mend?(): MaybePromise<void>
  /** What the channel alone may know: its secrets, the tokens in its links. */
  secrets?(): MaybePromise<readonly string[]>
  /** What would do something where it is displayed, such as `<script>`: looked for in `raw`. */
  readonly acts?: readonly string[]
  /** Closes what was opened. The approver itself has been closed. */
  close(): MaybePromise<void>
}

export type ApproverCase = Case<ApproverScene>

/** A channel under test, told of approvals as a haldir does it: again with what it has noted, until it has taken it. */
export class ApproverScene {
  readonly opened: OpenedApprover
  readonly approver: Approver
  readonly clock: FakeClock
  #board: Board | undefined

  private constructor(opened: OpenedApprover, clock: FakeClock) {
    this.opened = opened
    this.approver = opened.approver
    this.clock = clock
  }

  static async open(open: (options: { clock: FakeClock }) => MaybePromise<OpenedApprover>): Promise<ApproverScene> {
    const clock = fakeClock()
    return new ApproverScene(await open({ clock }), clock)
  }

  /** What stands in for a haldir; the channel is opened by it. A case that has a real one does not ask for this. */
  get board(): Board {
    if (!this.#board) {
      this.#board = new Board(this.clock)
      this.approver.open?.(this.#board)
    }
    return this.#board
  }

  async close(): Promise<void> {
    await this.approver.close?.()
    await this.opened.close()
  }

  get person(): Person {
    return this.opened.people[0]
  }

  get other(): Person {
    return this.opened.people[1] as Person
  }

  /** Shows an approval as it is now; fails when the channel does not take it. */
  async show(approval: Approval, signal: AbortSignal = new AbortController().signal): Promise<void> {
    const { id } = approval
    const note = await this.board.note(id)
    const answer = await inTime(this.approver.show(this.board.of(id), note, signal), '`show`')
    this.board.keep(id, answer)
  }

  /** What `show` rejects with; fails when it does not. */
  async refused(approval: Approval, signal: AbortSignal = new AbortController().signal): Promise<unknown> {
    let error: unknown
    try {
      await this.show(approval, signal)
    } catch (caught) {
      error = caught
    }
    expect(error, 'what `show` rejects with when the other side can not be told').toBeDefined()
    expect(String(error), 'why it rejects').not.toContain('did not answer within')
    return error
  }

  /** A pending approval that people have before them. */
  async asked(over: Partial<Approval> = {}): Promise<Approval> {
    const approval = this.board.ask(over)
    await this.show(approval)
    return approval
  }

  /** What people have before them of one approval. */
  async shown({ id }: Approval): Promise<readonly Shown[]> {
    return this.shownOf(id)
  }

  async shownOf(id: string): Promise<readonly Shown[]> {
    return (await this.opened.shown()).filter(({ approval }) => approval === id)
  }

  /** Waits until something is so, in the time that networks have; the clock stands still. */
  async until(what: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      if (await what()) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect.fail('what should have happened has not')
  }

  async canApprove(approval: Approval): Promise<boolean> {
    return (await this.shown(approval)).some(({ canApprove }) => canApprove)
  }

  /** All that people can read of an approval. */
  async text(approval: Approval): Promise<string> {
    return (await this.shown(approval)).map(({ text }) => text).join('\n')
  }

  /** Lets a person answer; what he is told may be nothing when there was nothing to press. */
  async answer({ id }: Approval, approve: boolean, person: Person = this.person, reason?: string): Promise<string> {
    const answer = { approval: id, approve, person, ...(reason === undefined ? {} : { reason }) }
    return inTime((this.opened.decide as (answer: PersonAnswer) => MaybePromise<string>)(answer), '`decide`')
  }

  /** Lets a person decide; answers what he was told, which is something. */
  async decide(approval: Approval, approve: boolean, person?: Person, reason?: string): Promise<string> {
    const told = await this.answer(approval, approve, person, reason)
    expect(told.trim(), 'what a person is told').not.toBe('')
    return told
  }

  /** What has been handed over of one approval. */
  said({ id }: Approval): readonly Say[] {
    return this.board.heard.filter((heard) => heard.id === id).map(({ say }) => say)
  }

  /** Asserts that nothing has come of whatever was tried. */
  expectUntouched({ id }: Approval): void {
    const { state, votes } = this.board.of(id)
    expect({ state, votes }).toEqual({ state: 'pending', votes: [] })
  }

  /** Asserts that a text, or anything that is printed, holds none of the channel's secrets. */
  async expectSecret(value: unknown, what: string): Promise<void> {
    const printed = typeof value === 'string' ? value : inspect(value, { depth: 9, showHidden: true })
    for (const secret of (await this.opened.secrets?.()) ?? []) {
      expect(printed.includes(secret), `a secret of the channel stands in ${what}`).toBe(false)
    }
  }
}
