/** Drives `webhookApprover` for the approver contract: with a receiver on a real port, and people who follow its links. */
import { createHmac } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebhookApproverOptions, type WebhookEvent, webhookApprover } from '@haldir/core/approvers/webhook'
import type { FakeClock, OpenedApprover, Person, PersonAnswer, Shown } from '@haldir/testing'

/** Somebody who listens on this machine. */
export async function receiver(): Promise<Receiver> {
  const received: Received[] = []
  const hanging: ServerResponse[] = []
  let how: number | 'down' | 'hang' = 204
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (how === 'down') {
      request.socket.destroy()
      return
    }
    received.push({ path: request.url ?? '', headers: request.headers as Record<string, string>, body })
    if (how === 'hang') hanging.push(response)
    else response.writeHead(how, { location: '/elsewhere', 'retry-after': '7' }).end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    received,
    answer(next) {
      how = next
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly received: Received[]
  answer(how: number | 'down' | 'hang'): void
  close(): Promise<void>
}

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
export const OLD_SECRET = `whsec_${Buffer.alloc(24, 8).toString('base64')}`

export function eventOf({ body }: Received): WebhookEvent {
  return JSON.parse(body)
}

/** The links that are newest for an approval, of the person or of whoever holds them. */
export function linksOf(received: readonly Received[], approval: string, by?: string) {
  for (const one of received.toReversed()) {
    const { data } = eventOf(one)
    if (data.approval.id !== approval) continue
    const links = by === undefined ? data.links : data.approvers?.find((each) => each.by === by)?.links
    if (links) return links
  }
  return undefined
}

/** A callback, signed by hand: not with what is tested. */
export function callback(
  body: unknown,
  more: { secret?: string; id?: string; at: number; headers?: Record<string, string> },
): Request {
  const { secret = SECRET, id = `m${counter++}`, at, headers = {} } = more
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const timestamp = String(Math.floor(at / 1_000))
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64')
  return new Request('https://app.example/haldir/webhook/callback', {
    method: 'POST',
    body: text,
    headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}`, ...headers },
  })
}
let counter = 0

/** What a browser shows of a page. */
export function textIn(html: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  return html
    .replace(/<style>[\s\S]*?<\/style>|<title>[\s\S]*?<\/title>/g, '')
    .replace(/<[^>]+>/g, '\n')
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name] as string)
}

const people = [
  { name: 'alice', by: 'webhook:alice' },
  { name: 'bob@shop.example', by: 'webhook:bob@shop.example' },
] as const satisfies readonly [Person, Person]

export async function openWebhook(
  clock: FakeClock,
  way: 'link' | 'callback',
  options: Partial<WebhookApproverOptions> = {},
): Promise<OpenedApprover> {
  const there = await receiver()
  const { received } = there
  const another = () =>
    webhookApprover({
      url: there.url,
      secrets: [SECRET, OLD_SECRET],
      baseUrl: 'https://app.example',
      approvers: people.map(({ name }) => name),
      ...options,
    })
  const approver = another()
  const ask = async (request: Request) => {
    const response = await approver.fetch?.(request)
    if (!response) throw new Error('the approver did not know its own link')
    return response
  }
  let last: (() => Promise<Response>) | undefined
  const send = async (make: () => Request) => {
    last = () => ask(make())
    const response = await last()
    const text = await response.text()
    return response.headers.get('content-type')?.startsWith('text/html') ? textIn(text) : text
  }
  const post = (url: string, form: Record<string, string> = {}) =>
    new Request(url, { method: 'POST', body: new URLSearchParams(form) })
  const approvalOf = (id: string) => {
    const found = received.findLast((one) => eventOf(one).data.approval.id === id)
    return eventOf(found as Received).data.approval
  }
  const signed = (id: string, more: Partial<Parameters<typeof callback>[1]> = {}, change: object = {}) => {
    const body = { approval: id, digest: approvalOf(id).digest, decision: 'approve', by: 'alice', ...change }
    return callback(body, { at: clock.now(), ...more })
  }
  return {
    approver,
    another,
    people,
    async shown() {
      const seen = new Map(received.map((one) => [one.headers['webhook-id'], one]))
      const all: Shown[] = []
      for (const one of seen.values()) {
        const { type, data } = eventOf(one)
        const { approval } = data
        const link = linksOf([one], approval.id, 'alice') ?? linksOf(received, approval.id, 'alice')
        const page = link && (await (await ask(new Request(link.approve))).text())
        const text = `${type}\n${page ? textIn(page) : ''}`
        all.push({
          approval: approval.id,
          text,
          canApprove: page?.includes('<form') ?? false,
          ...(page && { raw: page }),
        })
      }
      return all
    },
    async decide({ approval, approve, person, reason }: PersonAnswer) {
      if (way === 'callback') {
        const change = { decision: approve ? 'approve' : 'deny', by: person.name, ...(reason && { reason }) }
        const made = signed(approval, {}, change)
        return send(() => made.clone() as Request)
      }
      const links = linksOf(received, approval, person.name)
      const link = approve ? links?.approve : links?.deny
      return send(() => post(link as string, reason === undefined ? {} : { reason }))
    },
    forgeries:
      way === 'link'
        ? {
            'a token that nobody has made': async (id) => {
              const link = linksOf(received, id, 'alice')?.approve as string
              await ask(post(link.replace(/[^/]+$/, Buffer.alloc(32, 1).toString('base64url'))))
            },
            'the token of another approval': async (id) => {
              const other = received.find((one) => eventOf(one).data.approval.id !== id) ?? received[0]
              const { data } = eventOf(other as Received)
              const token = data.approvers?.[0]?.links.approve.split('/').at(-1)
              await ask(post(`https://app.example/haldir/webhook/${id === data.approval.id ? 'x' : id}/${token}`))
            },
            'a token cut short': async (id) => {
              const link = linksOf(received, id, 'alice')?.approve as string
              await ask(post(link.slice(0, -1)))
            },
          }
        : {
            'no signature': async (id) => void (await ask(signed(id, { headers: { 'webhook-signature': '' } }))),
            'the secret of somebody else': async (id) =>
              void (await ask(signed(id, { secret: `whsec_${Buffer.alloc(32, 9).toString('base64')}` }))),
            'five minutes old': async (id) => void (await ask(signed(id, { at: clock.now() - 301_000 }))),
            'five minutes ahead': async (id) => void (await ask(signed(id, { at: clock.now() + 301_000 }))),
            'signed as another body': async (id) => {
              const { headers } = signed(id, {}, { decision: 'deny' })
              const { body } = signed(id)
              await ask(
                new Request('https://app.example/haldir/webhook/callback', {
                  method: 'POST',
                  headers,
                  body,
                  duplex: 'half',
                } as RequestInit),
              )
            },
            'another kind of signature': async (id) => {
              const right = signed(id)
              right.headers.set(
                'webhook-signature',
                (right.headers.get('webhook-signature') as string).replace('v1,', 'v0,'),
              )
              await ask(right)
            },
            'somebody who is not among the approvers': async (id) =>
              void (await ask(signed(id, {}, { by: 'mallory' }))),
          },
    async replay() {
      await last?.()
    },
    break: (how) => there.answer(how),
    mend: () => there.answer(204),
    secrets() {
      const tokens = received.flatMap((one) =>
        [...one.body.matchAll(/\/([A-Za-z0-9_-]{43})"/g)].map(([, token]) => token as string),
      )
      return [SECRET, SECRET.replace('whsec_', ''), OLD_SECRET.replace('whsec_', ''), ...tokens]
    },
    acts: ['<script', '<img', '<form action', '<b>', '<!channel>', '<https:'],
    close: () => there.close(),
  }
}
