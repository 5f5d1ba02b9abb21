/** What becomes of a click: handed over as what a person says, or refused; and whoever clicked in vain is told why. */
import { within } from '../../clock.ts'
import type { Approval, ApproverPort, Say } from '../approver.ts'
import type { SlackApi } from './api.ts'
import { showsAll } from './card.ts'
import type { Groups } from './groups.ts'
import { type Click, REASON_BLOCK, type Submission, type Target } from './interaction.ts'
import type { Approvers } from './options.ts'
import { REASON_ROOM, reasonForm } from './reason-form.ts'
import { readNote, showCard } from './show.ts'
import { escaped } from './text.ts'

export interface ClicksParts {
  readonly port: ApproverPort
  readonly api: SlackApi
  readonly groups: Groups
  readonly approvers: Approvers
  /** Where those are told who clicked where nobody knows. */
  readonly channel: string
}

const NOT_RECORDED = 'Your decision could not be recorded. Nothing has changed; try again in a moment.'
const UNSURE = 'Slack did not say which user groups you are in; try again in a minute.'
const NOT_ONE = 'You are not among those who may decide this.'
const NO_TARGET = 'This button does not say which approval it is for.'
const NOT_ALL_SHOWN = 'Not all arguments of this call fit the card, so it can not be approved from here.'
const NO_FORM = 'The form did not open. Try again, or deny without a reason.'
/** How long an answer to a form waits for the message that says the same. */
const TELL_MS = 500

/** For the record; nothing is decided by it. */
function from(team: string | undefined): Pick<Say, 'from'> {
  return team === undefined ? {} : { from: `team ${team.slice(0, 40)}` }
}

export class Clicks {
  readonly #parts: ClicksParts

  constructor(parts: ClicksParts) {
    this.#parts = parts
  }

  /** Never rejects. */
  async click(click: Click): Promise<Response> {
    const { action, user, target } = click
    // Somebody who wants to give a reason is asked for it first; if there is nothing to decide, that is said at once.
    const why =
      action === 'reason'
        ? await this.#ask(click)
        : await this.#decide(user, target, {
            ...from(click.team),
            approve: action !== 'deny',
            ...(action === 'grant' ? { grant: true } : {}),
          })
    if (why !== undefined) await this.#tell(user, why, target, click.channel)
    await this.#bringUpToDate(click)
    return new Response(null)
  }

  /** Never rejects. */
  async submit({ user, target, reason, team }: Submission): Promise<Response> {
    const said = reason.trim()
    if (said === '' || said.length > REASON_ROOM) {
      return formErrors(`Say why, in up to ${REASON_ROOM} characters.`)
    }
    const why = await this.#decide(user, target, { ...from(team), approve: false, reason: said })
    if (why === undefined) return new Response(null)
    // The form stays open and says it, in case Slack takes no message now.
    const telling = this.#tell(user, why, target, target?.channel)
    await within(telling, TELL_MS, this.#parts.port.clock, 'chat.postEphemeral', false).catch(() => {})
    return formErrors(why)
  }

  /** Answers why it counts for nothing, if so. */
  async #decide(user: string, target: Target | undefined, say: Pick<Say, 'approve' | 'grant' | 'reason' | 'from'>) {
    const { port } = this.#parts
    const by = `slack:${user}`
    if (!target) return this.#refuse(NO_TARGET, by)
    const { id, digest } = target
    try {
      const approval = await port.get(id)
      const { refused, groups, unknown } = await this.#standing(user, approval)
      if (refused !== undefined) return await this.#refuse(refused, by, id)
      // Invariant: who can't see all arguments can't say yes, whatever was clicked.
      if (say.approve && approval && !showsAll(approval)) return await this.#refuse(NOT_ALL_SHOWN, by, id)
      const said = await port.say(id, { ...say, by, groups, digest })
      if (said.ok) return undefined
      return said.refused === 'not-approver' && unknown ? `${said.why} ${UNSURE}` : said.why
    } catch {
      return NOT_RECORDED
    }
  }

  /** Opens the form for a reason. */
  async #ask({ user, target, trigger, channel }: Click): Promise<string | undefined> {
    const { port, api } = this.#parts
    const by = `slack:${user}`
    if (!target) return this.#refuse(NO_TARGET, by)
    try {
      const approval = await port.get(target.id)
      const open = approval?.state === 'pending' && approval.digest === target.digest
      // No form for what can't be denied any more: the answer to a plain denial says why.
      if (!open) return await this.#decide(user, target, { approve: false })
      const { refused } = await this.#standing(user, approval)
      if (refused !== undefined) return await this.#refuse(refused, by, target.id)
      const view = reasonForm(approval, channel === undefined ? target : { ...target, channel })
      const told = await api.call('views.open', { trigger_id: trigger ?? '', view })
      return told.ok ? undefined : NO_FORM
    } catch {
      return NO_FORM
    }
  }

  /** Whether somebody may decide here, and which groups they are in of those that are asked for. */
  async #standing(user: string, approval: Approval | undefined) {
    const { approvers, groups } = this.#parts
    const asked = approval?.terms.flatMap((term) => term.approvers ?? []) ?? []
    const named = asked.flatMap((one) => /^(?:slack:)?(S[A-Z0-9]{1,40})$/.exec(one)?.[1] ?? [])
    const { of, unknown } = await groups.of(user, [...new Set([...approvers.groups, ...named])])
    const may = approvers.anyone || approvers.users.has(user) || of.some((group) => approvers.groups.includes(group))
    const refused = may ? undefined : unknown ? `${NOT_ONE} ${UNSURE}` : NOT_ONE
    return { refused, groups: of.map((group) => `slack:${group}`), unknown }
  }

  /**
   * There may be a card that nobody has noted, after an answer of Slack's that was lost: it is not edited by itself, but
   * when somebody clicks on it and there is nothing to decide any more. What is over stays so, so no later edit is undone.
   */
  async #bringUpToDate({ target, channel, ts }: Click): Promise<void> {
    const { port, api } = this.#parts
    const clicked = readNote({ channel, ts })
    if (!target || !clicked) return
    try {
      const approval = await port.get(target.id)
      if (!approval || approval.state === 'pending') return
      const noted = readNote(await port.note(target.id))
      if (noted?.ts === clicked.ts && noted.channel === clicked.channel) return
      await showCard(api, clicked.channel, approval, clicked, new AbortController().signal)
    } catch {}
  }

  async #refuse(why: string, by: string, id?: string): Promise<string> {
    await this.#parts.port.reject({ why, by, ...(id === undefined ? {} : { id }) }).catch(() => {})
    return why
  }

  /** To the one who clicked alone, where they clicked. Slack may be out of order: then that can't be helped. */
  async #tell(user: string, why: string, target: Target | undefined, clicked: string | undefined): Promise<void> {
    const { api, port, channel } = this.#parts
    try {
      const noted = clicked === undefined && target ? readNote(await port.note(target.id)) : undefined
      const to = clicked ?? noted?.channel ?? channel
      await api.call('chat.postEphemeral', { channel: to, user, text: escaped(why) })
    } catch {}
  }
}

function formErrors(why: string): Response {
  return Response.json({ response_action: 'errors', errors: { [REASON_BLOCK]: why } })
}
