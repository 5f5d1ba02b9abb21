/** An approval as a message of Slack's Block Kit: what is asked, how it stands, and buttons while it is pending. */
import type { Approval } from '../approver.ts'
import { ACTIONS, writeTarget } from './interaction.ts'
import { date, duration, fenced, inline, person, plain } from './text.ts'

type Block = Readonly<Record<string, unknown>>

export interface Card {
  /** What notifications show. */
  readonly text: string
  readonly blocks: readonly Block[]
}

/** A section takes 3,000 characters. */
const ARGS_ROOM = 2_900
const CONFIRM_ROOM = 300
const URL_ROOM = 3_000
/** How many of those who said yes are named. */
const NAMED = 6

const TITLES: Readonly<Record<Approval['state'], string>> = {
  pending: 'Approval needed',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  withdrawn: 'Withdrawn',
}

/** Whether a card shows every argument. Only then may somebody who sees no more than the card say yes. */
export function showsAll({ argsText }: Approval): boolean {
  return fenced(argsText, ARGS_ROOM).whole
}

/** `bare`: without the arguments, for when Slack does not take them. Nobody can say yes there either. */
export function cardOf(approval: Approval, bare = false): Card {
  const { state, agent, tool, cost } = approval
  const title = TITLES[state]
  const [who, what] = [inline(agent, 80), inline(tool, 128)]
  const amount = cost.length > 0 ? ` for ${inline(cost.join(', '), 80)}` : ''
  const blocks = [
    { type: 'header', text: { type: 'plain_text', text: title, emoji: false } },
    { type: 'section', fields: fieldsOf(approval).map(([name, text]) => mrkdwn(`*${name}*\n${text}`)) },
    section(`*Why*\n${inline(approval.reason, 300)}`),
    ...(bare ? [section('Slack did not take the arguments.')] : [argumentsOf(approval)]),
    ...standingOf(approval).map(section),
    contextOf(approval),
    ...(state === 'pending' ? buttonsOf(approval, !bare && showsAll(approval)) : []),
  ]
  return { text: `${title}: ${who} calls ${what}${amount}`, blocks }
}

function fieldsOf(approval: Approval): readonly (readonly [string, string])[] {
  const { agent, tool, cost, left, requester, state, expiresAt, decidedAt, terms } = approval
  const others = requester.filter((one) => one !== agent)
  return [
    ['Agent', inline(agent, 128)],
    ['Tool', inline(tool, 128)],
    ['Cost', cost.length > 0 ? inline(cost.join(', '), 300) : 'nothing'],
    ...(left.length > 0 ? [['Budget left', inline(left.join(', '), 300)] as const] : []),
    ...(others.length > 0 ? [['On behalf of', inline(others.join(', '), 300)] as const] : []),
    ...(terms.length > 0 ? [['Rule', inline(terms.map(whoseYes).join(', '), 300)] as const] : []),
    state === 'pending' ? ['Expires', date(expiresAt)] : ['Ended', date(decidedAt ?? expiresAt)],
  ]
}

/** A rule that asks, and how many people it wants if not one. */
function whoseYes({ rule, quorum }: Approval['terms'][number]): string {
  return quorum > 1 ? `${rule} (${quorum} people)` : rule
}

function argumentsOf(approval: Approval): Block {
  const { text, whole } = fenced(approval.argsText, ARGS_ROOM)
  const edited = approval.edited ? ' (changed by an approver)' : ''
  return section(`*Arguments*${edited}${whole ? '' : ', the beginning of them'}\n${text}`)
}

/** How it stands, where there is anything to say of that. */
function standingOf(approval: Approval): readonly string[] {
  const { state, votes, terms, grant, usedAt } = approval
  const yes = [...new Set(votes.filter(({ approve }) => approve).map(({ by }) => by))]
  const no = votes.findLast(({ approve }) => !approve)
  const [needed = 1, ...others] = terms.map(({ quorum }) => quorum)
  // Of several rules each wants its own: then nobody is told that enough have said yes.
  const of = others.length === 0 ? ` of ${needed}` : ''
  const because = (reason: string | undefined) => (reason === undefined ? '' : `\n${inline(reason, 200)}`)
  switch (state) {
    case 'pending':
      return needed > 1 || yes.length > 0 ? [`${yes.length}${of} have approved${namesOf(': ', yes)}`] : []
    case 'approved': {
      const until = grant?.until ? `\nCalls like it run without asking until ${date(grant.until)}` : ''
      const used = usedAt ? `\nUsed ${date(usedAt)}` : ''
      const last = votes.findLast(({ approve }) => approve)
      return [`Approved${namesOf(' by ', yes)}${because(last?.reason)}${until}${used}`]
    }
    case 'denied':
      return [`Denied${no ? ` by ${person(no.by)}${because(no.reason)}` : ''}`]
    case 'expired':
      return ['Nobody decided in time, so it counts as denied']
    case 'withdrawn':
      return ['It was withdrawn: nothing waits for it any more']
  }
}

function namesOf(before: string, yes: readonly string[]): string {
  if (yes.length === 0) return ''
  const more = yes.length > NAMED ? ` and ${yes.length - NAMED} more` : ''
  return before + yes.slice(0, NAMED).map(person).join(', ') + more
}

function contextOf({ id, digest, session }: Approval): Block {
  const parts = [`Approval ${inline(id, 100)}`, `digest ${inline(digest.slice(0, 12), 12)}`]
  return { type: 'context', elements: [mrkdwn([...parts, `session ${inline(session, 100)}`].join(' · '))] }
}

/** The last of the blocks, and what has to be said where there is no way to say yes. */
function buttonsOf(approval: Approval, mayApprove: boolean): readonly Block[] {
  const { id, digest, grant, url } = approval
  const value = writeTarget({ id, digest })
  const link = url !== undefined && url.length <= URL_ROOM && /^https?:\/\/[^\s]+$/.test(url)
  // Invariant: who can't see all arguments can't say yes. To say no is always safe.
  const yes = mayApprove
    ? [
        button(ACTIONS.approve, 'Approve', { value, style: 'primary' }),
        ...(grant && !grant.until ? grantButton(approval, value) : []),
      ]
    : []
  const elements = [
    ...yes,
    ...(link ? [button(ACTIONS.view, 'Full view', { url })] : []),
    button(ACTIONS.deny, 'Deny', { value, style: 'danger' }),
    button(ACTIONS.reason, 'Deny with reason', { value }),
  ]
  const where = link ? 'in the full view' : 'where all of them can be seen'
  const why = mayApprove ? [] : [section(`Not all arguments fit here, so it can be approved only ${where}`)]
  return [...why, { type: 'actions', elements }]
}

/** None when what would be granted can't all be said beforehand. */
function grantButton({ grant, tool, agent }: Approval, value: string): readonly Block[] {
  if (!grant) return []
  const time = duration(grant.forMs)
  const names = grant.args.map((name) => plain(name, CONFIRM_ROOM)).join(', ')
  const same = grant.args.length > 0 ? `if these arguments are the same: ${names}` : 'whatever their arguments are'
  const text = `For ${time}, calls of ${plain(tool, 128)} by ${plain(agent, 64)} run without asking, ${same}`
  if (text.length > CONFIRM_ROOM) return []
  const confirm = {
    title: { type: 'plain_text', text: `Approve for ${time}?` },
    text: { type: 'plain_text', text, emoji: false },
    confirm: { type: 'plain_text', text: 'Approve' },
    deny: { type: 'plain_text', text: 'Back' },
  }
  return [button(ACTIONS.grant, `Approve for ${time}`, { value, confirm })]
}

function button(action: string, text: string, more: Block): Block {
  return { type: 'button', action_id: action, text: { type: 'plain_text', text, emoji: false }, ...more }
}

/** Never folded away behind "see more": what is approved has been seen. */
function section(text: string): Block {
  return { type: 'section', text: mrkdwn(text), expand: true }
}

/** `verbatim`: Slack turns nothing into a link by itself. */
function mrkdwn(text: string): Block {
  return { type: 'mrkdwn', text, verbatim: true }
}
