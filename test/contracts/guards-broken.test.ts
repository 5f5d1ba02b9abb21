/** The guard contract notices a guard that breaks any one of its promises. */
import type { Guard, GuardAnswer, GuardCall, PolicyClient } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { GuardScene } from '../../packages/testing/src/guard-contract/scene.ts'
import { GUARD_CHAPTERS, guardOffers } from '../../packages/testing/src/guard-contract.ts'
import { proves } from '../promises.ts'
import { failing } from './broken.ts'

type Decide = (call: GuardCall, options: { readonly signal: AbortSignal }) => Promise<GuardAnswer>

/** What the guard asks, which can be down. */
interface Server {
  down: boolean
}

/** A guard that keeps every promise. */
const good =
  (server: Server): Decide =>
  async ({ tool, args }) => {
    await null
    if (server.down) throw new Error('no connection')
    const { amount } = args as { amount?: number }
    if (tool.name !== 'refund' || typeof amount !== 'number') return 'deny'
    if (amount > 50) return { verdict: 'deny', reason: 'a refund is at most $50' }
    return amount > 20 ? { verdict: 'ask', reason: 'a refund of more than $20' } : 'allow'
  }

type Break = (decide: Decide, server: Server) => Decide | PolicyClient

const run = (broken: Break = (decide) => decide, only?: readonly string[]) =>
  failing(
    GUARD_CHAPTERS,
    async () => {
      const server = { down: false }
      const refund = (amount: number) => ({ tool: 'refund', args: { order: 'order-10017', amount } })
      const scene = new GuardScene({
        guard: broken(good(server), server) as Guard,
        allowing: [refund(5), refund(20)],
        refusing: [refund(999), { tool: 'delete_order', args: { order: 'order-10017', tags: ['a'] } }],
        asking: [refund(49)],
        break() {
          server.down = true
        },
        mend() {
          server.down = false
        },
      })
      return { scene, close: async () => {} }
    },
    guardOffers,
    only,
  )

const answers = (answer: unknown) => async () => answer as GuardAnswer
const kept: unknown[] = []
const timers: NodeJS.Timeout[] = []

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  [
    'allows everything',
    () => answers('allow'),
    'it allows what it should, and refuses and asks what it should, in time',
  ],
  [
    'denies everything',
    () => answers('deny'),
    'it allows what it should, and refuses and asks what it should, in time',
  ],
  [
    'answers in words of its own',
    () => answers({ verdict: 'block' }),
    'it allows what it should, and refuses and asks what it should, in time',
  ],
  [
    'takes longer than a guard has',
    (decide) => async (call, options) => {
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      return decide(call, options)
    },
    'it allows what it should, and refuses and asks what it should, in time',
  ],
  [
    'allows every third call',
    (decide) => {
      let asked = 0
      return (call, options) => (++asked % 3 === 0 ? answers('allow')() : decide(call, options))
    },
    'it says the same of the same call every time, whatever it was asked before',
  ],
  [
    'remembers a verdict by the tool alone',
    (decide) => {
      const known = new Map<string, Promise<GuardAnswer>>()
      return (call, options) => {
        const answer = known.get(call.tool.name) ?? decide(call, options)
        known.set(call.tool.name, answer)
        return answer
      }
    },
    'it says the same of the same call every time, whatever it was asked before',
  ],
  [
    'takes one call for another that came meanwhile',
    (decide) => {
      let current: GuardCall
      return async (call, options) => {
        current = call
        await null
        return decide(current, options)
      }
    },
    'it keeps calls apart that it is asked of at once',
  ],
  [
    'is busy while it is asked',
    (decide) => {
      let busy = false
      return async (call, options) => {
        if (busy) throw new Error('busy')
        busy = true
        try {
          return await decide(call, options)
        } finally {
          busy = false
        }
      }
    },
    'it keeps calls apart that it is asked of at once',
  ],
  [
    'is down for good after a call that it can not read',
    (decide) => {
      let down = false
      return (call, options) => {
        down ||= JSON.stringify(call.args, (_, value) => (typeof value === 'bigint' ? '' : value)).length > 10_000
        if (down) throw new Error('down')
        return decide(call, options)
      }
    },
    'a call that it can make nothing of does not bring it down',
  ],
  [
    'only looks at what the rules have said',
    (decide) => (call, options) => (call.verdict === 'ask' ? answers('allow')() : decide(call, options)),
    'what a rule wants a person to decide it does not allow either, and still refuses what it refuses',
  ],
  [
    'changes the arguments where they are not frozen',
    (decide) => (call, options) => {
      Reflect.set(call.args as object, 'amount', 1)
      return decide(structuredClone(call), options)
    },
    'it changes nothing in the call it is shown',
  ],
  [
    'marks what it has judged',
    (decide) => (call, options) => {
      Reflect.defineProperty(call.args as object, Symbol('judged'), { value: true })
      return decide(call, options)
    },
    'it changes nothing in the call it is shown',
  ],
  [
    'keeps every call',
    (decide) => (call, options) => {
      kept.push(call.args)
      return decide(call, options)
    },
    'it keeps no hold of the calls it was shown',
  ],
  [
    'repeats arguments in its reason',
    (decide) => async (call, options) => {
      const answer = await decide(call, options)
      const { amount } = call.args as { amount: number }
      return typeof answer === 'object' ? { ...answer, reason: `${amount} is more than 50` } : answer
    },
    'its reasons are one line, and repeat no argument',
  ],
  [
    'gives a report for a reason',
    () => answers({ verdict: 'deny', reason: 'denied\n  at policy.rego:17' }),
    'its reasons are one line, and repeat no argument',
  ],
  [
    'allows what it can not ask about',
    (decide) => (call, options) => decide(call, options).catch(() => 'allow'),
    'what it can not ask about is refused, and allowed again afterwards',
  ],
  [
    'allows what it allowed before, for as long as it can not ask',
    (decide) => {
      const before = new Map<string, GuardAnswer>()
      return async (call, options) => {
        const key = JSON.stringify([call.tool.name, call.args])
        try {
          const answer = await decide(call, options)
          before.set(key, answer)
          return answer
        } catch (error) {
          const known = before.get(key)
          if (known === undefined) throw error
          return known
        }
      }
    },
    'what it can not ask about is refused, and allowed again afterwards',
  ],
  [
    'does not find back',
    (decide) => {
      let lost = false
      return async (call, options) => {
        if (lost) throw new Error('lost')
        return decide(call, options).catch((error: unknown) => {
          lost = true
          throw error
        })
      }
    },
    'what it can not ask about is refused, and allowed again afterwards',
  ],
  [
    'has an opinion, as a policy client, only when it denies',
    (decide) => ({
      async evaluate(_, input) {
        const answer = await decide(input as GuardCall, { signal: new AbortController().signal })
        return answer === 'allow' ? {} : answer
      },
    }),
    'it allows what it should, and refuses and asks what it should, in time',
  ],
  [
    'never answers once it is told to stop',
    (decide) => (call, options) =>
      new Promise((resolve, reject) => {
        const go = () => decide(call, options).then(resolve, reject)
        setImmediate(() => options.signal.aborted || go())
      }),
    'told that nobody waits any more it ends, and it leaves no listener on the signal',
  ],
  [
    'leaves a listener on the signal',
    (decide) => (call, options) => {
      options.signal.addEventListener('abort', () => {})
      return decide(call, options)
    },
    'told that nobody waits any more it ends, and it leaves no listener on the signal',
  ],
  [
    'leaves a timer',
    (decide) => (call, options) => {
      timers.push(setTimeout(() => {}, 60_000))
      return decide(call, options)
    },
    'it leaves no timer',
  ],
]

describe('a guard that', () => {
  it('keeps every promise passes every case', async () => {
    expect(await run()).toEqual([])
  })

  it.each(BROKEN)('%s is noticed', async (_, broken, caught) => {
    proves('parts-of-your-own')
    try {
      expect(await run(broken, [caught])).toEqual([caught])
    } finally {
      kept.length = 0
      for (const timer of timers.splice(0)) clearTimeout(timer)
    }
  })
})

it('every case that a guard could fail notices at least one of them', () => {
  const caught = new Set(BROKEN.map(([, , title]) => title))
  const all = Object.values(GUARD_CHAPTERS).flatMap((cases) => cases.map(({ title }) => title))
  // These two haldir keeps, whatever the guard does.
  expect(all.filter((title) => !caught.has(title))).toEqual([
    'what a rule denies it does not allow',
    'an answer that comes too late changes nothing',
  ])
})
