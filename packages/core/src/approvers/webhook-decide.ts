/** What the holder of a decision link sees (`GET`) and does (`POST`). */
import type { Approval, ApproverPort, Said } from './approver.ts'
import { rawBody } from './raw-body.ts'
import { STATUS } from './webhook-callback.ts'
import type { DecisionLinks, Link } from './webhook-links.ts'
import { endPage, MOST_REASON, questionPage, sayPage } from './webhook-page.ts'

const MOST_BYTES = 16_384

export class LinkPages {
  readonly #name: string
  readonly #links: DecisionLinks

  constructor(name: string, links: DecisionLinks) {
    this.#name = name
    this.#links = links
  }

  async answer(request: Request, id: string, token: string, port: ApproverPort): Promise<Response> {
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
      const refused = sayPage(405, 'Not like this', 'Open the link in a browser.')
      refused.headers.set('allow', 'GET, HEAD, POST')
      return refused
    }
    let approval: Approval | undefined
    try {
      approval = await port.get(id)
    } catch {
      return UNAVAILABLE()
    }
    const link = approval && this.#links.read(approval, token)
    if (!approval || !link) {
      // Whoever has no valid link is a stranger, whatever approval the address names.
      await port.reject({ why: 'a decision link is not valid' })
      return sayPage(404, 'This link is not valid', OLD)
    }
    const by = `${this.#name}:${link.by ?? 'link'}`
    if (method === 'POST') return this.#decide(request, approval, link, by, port)
    return shownOf(approval, link, by, port.clock.now())
  }

  async #decide(request: Request, approval: Approval, link: Link, by: string, port: ApproverPort): Promise<Response> {
    const body = await rawBody(request, MOST_BYTES)
    if (!body.ok) return sayPage(body.status, 'That did not work', `Nothing has changed: ${body.why}.`)
    const form = new URLSearchParams(new TextDecoder().decode(body.bytes))
    const reason = (form.get('reason') ?? '').trim().slice(0, MOST_REASON)
    const grant = link.approve && form.get('grant') === 'yes'
    let said: Said
    try {
      said = await port.say(approval.id, {
        approve: link.approve,
        by,
        // Invariant: the link was made for this digest; if the approval is another one by now, this counts for nothing.
        digest: approval.digest,
        ...(reason === '' ? {} : { reason }),
        ...(grant ? { grant } : {}),
      })
    } catch {
      return UNAVAILABLE()
    }
    const { approval: now } = said
    if (!said.ok) {
      const status = STATUS[said.refused]
      return now && now.state !== 'pending'
        ? endPage(status, TOO_LATE, now)
        : sayPage(status, NOT_COUNTED, sentence(said.why))
    }
    if (said.approval.state !== 'pending') return endPage(200, link.approve ? 'Approved' : 'Denied', said.approval)
    return sayPage(200, 'Your answer counts', 'It is not decided yet: others have to say yes, too.')
  }
}

function shownOf(approval: Approval, link: Link, by: string, now: number): Response {
  if (approval.state !== 'pending') return endPage(410, 'This is over', approval)
  if (now >= approval.expiresAt.getTime()) return endPage(410, 'This is over', { ...approval, state: 'expired' })
  return questionPage(approval, link.approve, by)
}

const TOO_LATE = 'This was over already'
const NOT_COUNTED = 'This does not count'
const OLD = 'It may be mistyped, or what it was for may have changed. If there is a newer message, its links are right.'

function UNAVAILABLE(): Response {
  return sayPage(503, 'That did not work', 'Nothing has changed. Try again in a minute.')
}

function sentence(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}${/[.!?]$/.test(why) ? '' : '.'}`
}
