/** A channel that keeps every promise of the approver contract: cards on a desk, and signed clicks. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Approval, Approver, ApproverPort, Said } from '@haldir/core'
import type { OpenedApprover, Person } from '@haldir/testing'

export interface Card {
  readonly approval: string
  text: string
  raw: string
  digest: string
  canApprove: boolean
}

/** The other side of it: it outlives the approver, and can be down. */
export interface Desk {
  readonly cards: Card[]
  state: 'up' | 'down' | 'hang'
}

export type Note = { readonly card: number; readonly shown: string } | undefined

export interface DeskApprover extends Approver {
  readonly name: string
  open(port: ApproverPort): void
  show(approval: Approval, note: unknown, signal: AbortSignal): Promise<unknown>
  fetch(request: Request): Promise<Response | undefined>
  close(): void
}

export const KEY = 'desk-signing-key-1234567890'
const UNSEEN = /(?!\n)[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

export const tame = (text: string) => text.replace(UNSEEN, '?')
export const escaped = (text: string) => text.replace(/[<&]/g, (one) => (one === '<' ? '&lt;' : '&amp;'))

/** What a card says. */
export function textOf(approval: Approval): string {
  const { agent, tool, reason, cost, argsText, state, tenant, requester, votes, terms } = approval
  const said = votes.map((vote) => `${vote.by}: ${vote.approve ? 'yes' : 'no'} ${vote.reason ?? ''}`)
  const needed = terms.map(({ rule, approvers = [] }) => `${rule} ${approvers.join()}`)
  return tame(
    [state, agent, tenant, tool, reason, cost.join(), requester.join(), ...said, ...needed, argsText].join('\n'),
  )
}

/** Does something at the desk; rejects when it is down, or when nobody waits for it any more. */
export function at<T>(desk: Desk, signal: AbortSignal, work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error('stopped'))
    const done = () => {
      signal.removeEventListener('abort', stop)
      if (desk.state === 'down') reject(new Error('the desk is down'))
      else resolve(work())
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    if (desk.state !== 'hang') setImmediate(done)
  })
}

export function sign(body: string): string {
  return createHmac('sha256', KEY).update(body).digest('hex')
}

export interface Click {
  readonly id: string
  readonly approval: string
  readonly digest: string
  readonly approve: boolean
  readonly by: string
  readonly reason?: string
}

export function goodApprover(desk: Desk): DeskApprover {
  let port: ApproverPort
  const heard = new Set<string>()
  return {
    name: 'desk',
    open(given) {
      port = given
    },
    async show(approval, note, signal) {
      const { id, state, digest } = approval
      const text = textOf(approval)
      const known = note as Note
      if (known?.shown === text) return undefined
      return at(desk, signal, () => {
        const card = { approval: id, text, raw: escaped(text), digest, canApprove: state === 'pending' }
        // A card whose number was lost is found by what it is about.
        const found = known?.card ?? desk.cards.findIndex((one) => one.approval === id)
        const number = found < 0 ? desk.cards.length : found
        desk.cards[number] = card
        return { card: number, shown: text }
      })
    },
    async fetch(request) {
      if (new URL(request.url).pathname !== '/desk/click') return undefined
      const body = await request.text()
      const right = Buffer.from(sign(body))
      const given = Buffer.from(request.headers.get('x-signature') ?? '')
      if (given.length !== right.length || !timingSafeEqual(given, right)) {
        await port.reject({ why: 'the signature is wrong' })
        return new Response('Who are you?', { status: 401 })
      }
      const { id, approval, by, ...say } = JSON.parse(body) as Click
      if (heard.has(id)) return new Response('That was heard already.', { status: 409 })
      heard.add(id)
      let said: Said
      try {
        said = await port.say(approval, { ...say, by: `desk:${by}` })
      } catch {
        heard.delete(id)
        return new Response('Try again later.', { status: 503 })
      }
      return new Response(said.ok ? `It is ${said.approval.state}.` : said.why)
    },
    close() {},
  }
}

let clicks = 0

/** Opens a desk with an approver that may have been broken. */
export function openDesk(approver: (desk: Desk) => DeskApprover = goodApprover): OpenedApprover {
  const desk: Desk = { cards: [], state: 'up' }
  const made = approver(desk)
  const people: readonly [Person, Person] = [
    { name: 'alice', by: 'desk:alice' },
    { name: 'bob', by: 'desk:bob' },
  ]
  let last = ''
  const post = async (body: string, signature = sign(body)) => {
    const headers = { 'x-signature': signature }
    const answer = await made.fetch(new Request('https://app.example/desk/click', { method: 'POST', body, headers }))
    return (await answer?.text()) ?? ''
  }
  const click = (approval: string, more: Partial<Click> = {}) => {
    const digest = desk.cards.findLast((card) => card.approval === approval)?.digest ?? ''
    const body: Click = { id: `c${++clicks}`, approval, digest, approve: true, by: 'alice', ...more }
    return JSON.stringify(body)
  }
  return {
    approver: made,
    another: () => approver(desk),
    people,
    shown: () => desk.cards.map((card) => ({ ...card })),
    async decide({ approval, approve, person, reason }) {
      last = click(approval, { approve, by: person.name, ...(reason === undefined ? {} : { reason }) })
      return post(last)
    },
    forgeries: {
      'no signature': async (id) => void (await post(click(id), '')),
      'signature of something else': async (id) => void (await post(click(id), sign(click(id)))),
    },
    async replay() {
      await post(last)
    },
    break(how) {
      desk.state = how
    },
    mend() {
      desk.state = 'up'
    },
    secrets: () => [KEY],
    acts: ['<script', '<!channel>'],
    close() {},
  }
}
