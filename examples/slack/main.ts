// #region readme
import { createHaldir, governed, usd } from '@haldir/core'
import { slackApprover } from '@haldir/core/approvers/slack'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { clicks, slack } from './slack.ts' // yours from the environment; without it one that clicks by itself

const haldir = createHaldir({
  store: sqliteStore('haldir.db'),
  sinks: [fileSink('audit')],
  approvers: [
    slackApprover({
      token: slack.token, // xoxb-…, with `chat:write`
      signingSecret: slack.signingSecret,
      channel: slack.channel,
      approvers: slack.approvers, // who may decide, as members (U…) or user groups (S…)
      ...slack.transport,
    }),
  ],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [
      {
        id: 'refund',
        tools: 'refund',
        when: { 'args.amount': { gt: 20 } },
        then: 'ask',
        because: 'refunds above $20 need a yes',
        timeout: '10m',
      },
    ],
  },
})
const refund = governed(
  async ({ order, amount }: { order: string; amount: number }) => `refunded ${amount} for ${order}`,
  { name: 'refund', scope: 'spend', cost: ({ amount }) => usd(amount) },
)
const session = await haldir.createSession({ agent: 'support-bot', scopes: ['spend:500'] })

// The app's Request URL leads here. In Hono: app.post('/haldir/slack', ({ req }) => haldir.fetch(req.raw));
// in a Next route: export const POST = (request: Request) => haldir.fetch(request)
const stop = await clicks((request) => haldir.fetch(request))

await session.run(async () => {
  for (const [order, amount] of [
    ['A1', 15],
    ['A2', 120],
    ['A3', 45],
  ] as const) {
    console.log(await refund({ order, amount }).catch((denied) => denied.message))
  }
})
// #endregion readme

await stop()
await haldir.close()
