/**
 * The Slack that the example talks to. With `SLACK_TOKEN`, `SLACK_SIGNING_SECRET`, `SLACK_CHANNEL` and
 * `SLACK_APPROVERS` (ids, separated by commas) it is yours, and its clicks come in on port 3000 (or `PORT`); else it is
 * a fake one, whose people look at each card and click.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { type FakeSlack, fakeSlack } from '@haldir/testing/slack'

type Answer = (request: Request) => Promise<Response>

const { SLACK_TOKEN, SLACK_SIGNING_SECRET, SLACK_CHANNEL, SLACK_APPROVERS = '', PORT = '3000' } = process.env
const fake = SLACK_TOKEN ? undefined : fakeSlack()

export const slack = {
  token: SLACK_TOKEN ?? (fake as FakeSlack).token,
  signingSecret: SLACK_SIGNING_SECRET ?? (fake as FakeSlack).signingSecret,
  channel: SLACK_CHANNEL ?? 'C0REFUNDS',
  approvers: SLACK_TOKEN ? SLACK_APPROVERS.split(',') : ['U0ANN'],
  transport: fake ? { apiUrl: fake.apiUrl, fetch: fake.fetch } : {},
}

/** Hands clicks to the application. Answers how to stop. */
export function clicks(answer: Answer): Promise<() => Promise<void>> {
  return fake ? clickItself(fake, answer) : listen(answer)
}

/** Ann is asked. Bob, who is not, clicks first. */
async function clickItself(slack: FakeSlack, answer: Answer): Promise<() => Promise<void>> {
  let stopped = false
  const looking = (async () => {
    let seen = 0
    while (!stopped) {
      await pause(10)
      if (slack.messages.length === seen) continue
      seen++
      const card = slack.message()
      console.log(`card: ${headline(slack, card)}, with ${slack.buttonsOf(card).join(', ')}`)
      if (seen === 1) {
        await slack.click(card, 'haldir_approve', { user: 'U0BOB' }, answer)
        console.log(`to Bob alone: ${slack.ephemerals.at(-1)?.text}`)
        await slack.click(card, 'haldir_approve', { user: 'U0ANN' }, answer)
      } else {
        await slack.click(card, 'haldir_deny_reason', { user: 'U0ANN' }, answer)
        const form = slack.views.at(-1)
        if (form) await slack.submit(form, { reason: 'ask the customer first' }, 'U0ANN', answer)
      }
    }
  })()
  return async () => {
    stopped = true
    await looking
    for (let tries = 0; tries < 100 && slack.messages.some((card) => slack.buttonsOf(card).length > 0); tries++)
      await pause(10)
    for (const card of slack.messages) console.log(`card: ${headline(slack, card)}`)
  }
}

/** The first line of a card, and who has decided. */
function headline(slack: FakeSlack, card: FakeSlack['messages'][number]): string {
  const lines = slack.textOf(card).split('\n')
  return [lines[0], ...lines.filter((line) => line.includes('<@'))].join(' · ')
}

/** Where Slack reaches it: through a tunnel to this port, at the path /haldir/slack. */
async function listen(answer: Answer): Promise<() => Promise<void>> {
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const headers = new Headers(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
    const { method = 'GET', url = '/' } = incoming
    const body = method === 'POST' ? { body: Buffer.concat(chunks) } : {}
    const response = await answer(new Request(new URL(url, 'http://localhost'), { method, headers, ...body }))
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(Buffer.from(await response.arrayBuffer()))
  }
  // What makes no request, such as one for `//`, does not end the process.
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.writeHead(400).end())
  })
  await new Promise<void>((ready) => server.listen(Number(PORT), '127.0.0.1', ready))
  console.log(`waiting for clicks on http://127.0.0.1:${PORT}/haldir/slack`)
  return () => new Promise((closed) => server.close(() => closed()))
}
