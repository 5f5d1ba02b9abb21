/** The guard contract: functions, and clients of policy engines. */
import { createServer } from 'node:http'
import { createMongoAbility, subject } from '@casl/ability'
import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { type GuardCall, type PolicyClient, policyGuard } from '@haldir/core'
import { guardContract, type SampleCall } from '@haldir/testing'
import { proves } from '../promises.ts'

proves('guards-stricter', 'invariant-6')

/** A support agent refunds at most $50, and a person decides about more than $20. */
const refund = (amount: number): SampleCall => ({ tool: 'refund', args: { order: 'order-10017', amount } })
const SAMPLES = {
  allowing: [refund(5), { tool: 'read_order', args: { order: 'order-10017' }, annotations: { readOnly: true } }],
  refusing: [refund(999), { tool: 'delete_order', args: { order: 'order-10017' } }],
}
const ASKING = [refund(49)]
const NOBODY = { break: 'it asks nobody outside' }

guardContract({
  name: 'a function',
  open: () => ({
    guard: async ({ tool, args }: GuardCall) => {
      if (tool.readOnly) return 'allow'
      const { amount } = args as { amount?: number }
      if (tool.name !== 'refund' || typeof amount !== 'number') return 'deny'
      if (amount > 50) return { verdict: 'deny', reason: 'a refund is at most $50' }
      return amount > 20 ? { verdict: 'ask', reason: 'a refund of more than $20' } : 'allow'
    },
    ...SAMPLES,
    asking: ASKING,
  }),
  lacks: NOBODY,
})

guardContract({
  name: 'Cedar, as a policy client',
  open() {
    const id = 'contract'
    const parsed = preparsePolicySet(id, {
      staticPolicies: `
        permit(principal, action == Action::"read_order", resource);
        permit(principal, action == Action::"refund", resource) when { context.amount <= 50 };`,
    })
    if (parsed.type !== 'success') throw new Error(parsed.errors[0]?.message)
    const client: PolicyClient = {
      async evaluate(_, input) {
        const { tool, args, session } = input as GuardCall
        const answer = statefulIsAuthorized({
          principal: { type: 'Agent', id: session.agent },
          action: { type: 'Action', id: tool.name },
          resource: { type: 'Shop', id: 'shop' },
          context: args as Record<string, string>,
          entities: [],
          preparsedPolicySetId: id,
        })
        if (answer.type !== 'success') throw new Error('Cedar could not decide')
        return { decision: answer.response.decision }
      },
    }
    return { guard: client, ...SAMPLES }
  },
  lacks: NOBODY,
})

guardContract({
  name: 'CASL, as a policy client',
  open() {
    const ability = createMongoAbility([
      { action: 'read_order', subject: 'Call' },
      { action: 'refund', subject: 'Call', conditions: { amount: { $lte: 50 } } },
    ])
    const client: PolicyClient = {
      // CASL marks what it judges, so it is given a copy.
      evaluate: async (_, input) => {
        const { tool, args } = input as GuardCall
        return ability.can(tool.name, subject('Call', { ...(args as object) }))
      },
    }
    return { guard: policyGuard(client, { name: 'casl' }), ...SAMPLES }
  },
  lacks: NOBODY,
})

guardContract({
  name: 'a policy server, over HTTP',
  async open() {
    let down = false
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request.setEncoding('utf8')) body += chunk
      const { tool, args } = JSON.parse(body).input
      const result = tool === 'read_order' || (tool === 'refund' && args.amount <= 20)
      const decision = result ? 'allow' : tool === 'refund' && args.amount <= 50 ? 'ask' : 'deny'
      response.statusCode = down ? 503 : 200
      response.end(JSON.stringify({ result: { decision, reason: 'the policy of the shop' } }))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as { port: number }
    const client: PolicyClient = {
      async evaluate(path, input) {
        const text = JSON.stringify({ input }, (_, value) => (typeof value === 'bigint' ? String(value) : value))
        const response = await fetch(`http://127.0.0.1:${port}/v1/data/${path}`, { method: 'POST', body: text })
        if (!response.ok) throw new Error(`the policy server answered ${response.status}`)
        return ((await response.json()) as { result: unknown }).result
      },
    }
    return {
      guard: policyGuard(client, {
        path: 'shop/decision',
        input: ({ tool, args }) => ({ tool: tool.name, args }),
      }),
      ...SAMPLES,
      asking: ASKING,
      break() {
        down = true
      },
      mend() {
        down = false
      },
      close: () =>
        new Promise<void>((closed) => {
          server.closeAllConnections()
          server.close(() => closed())
        }),
    }
  },
})
