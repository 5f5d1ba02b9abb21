/** The static types of `governed` from `@haldir/core`. Compiled, never run: what must not compile says so. */
import { type CurrentCall, type currentCall, governed, type Session, usd } from '@haldir/core'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const session: Session

const charge = async ({ amount }: { amount: number }) => ({ total: amount })
const ping = async () => 'pong' as const
const maybe = async (args?: { deep: boolean }) => args?.deep
async function* count({ to }: { to: number }) {
  for (let n = 0; n < to; n++) yield { n }
}

const charged = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number }>(true)
    return usd(args.amount)
  },
  actual: (result, args) => {
    same<typeof result, { total: number }>(true)
    same<typeof args, { amount: number }>(true)
    return usd(result.total)
  },
  record: {
    show: 'all',
    redact: ['amount'],
    subject: (args) => {
      same<typeof args, { amount: number }>(true)
      return args.amount
    },
  },
})
same<typeof charged, typeof charge>(true)

const pinged = governed(ping, { name: 'ping', scope: 'read', actual: (pong) => usd(pong.length) })
same<typeof pinged, typeof ping>(true)
same<Awaited<ReturnType<typeof pinged>>, 'pong'>(true)

const asked = governed(maybe, { name: 'maybe', scope: (args) => (args?.deep ? 'deep' : 'read') })
same<typeof asked, typeof maybe>(true)

const counted = governed(count, { name: 'count', scope: 'read', actual: (last) => usd(last.n) })
same<typeof counted, typeof count>(true)

const set = governed(
  { charge, ping, count },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total) },
    ping: { scope: [] },
    count: { scope: 'read', actual: ({ n }) => usd(n) },
  },
  { session },
)
same<typeof set.charge, typeof charge>(true)
same<typeof set.count, typeof count>(true)
same<keyof typeof set, 'charge' | 'ping' | 'count'>(true)

// What runs under a session answers what it answers.
same<ReturnType<typeof session.run<number>>, number>(true)
const bound = session.bind((a: number, b: string) => `${a}${b}`)
same<typeof bound, (a: number, b: string) => string>(true)
same<ReturnType<typeof currentCall>, CurrentCall>(true)

// @ts-expect-error more than one argument can't be governed
governed(async (a: number, b: number) => a + b, { name: 'add', scope: 'read' })
// @ts-expect-error a function that answers at once can't be governed
governed(() => 1, { name: 'now', scope: 'read' })
// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error: the argument is called `amount`
governed(charge, { name: 'charge', scope: [], record: { subject: ({ customer }) => customer } })
// @ts-expect-error the result has no `sum`
governed(charge, { name: 'charge', scope: 'spend', cost: usd(1), actual: ({ sum }) => usd(sum) })
// @ts-expect-error a misspelt option
governed(charge, { name: 'charge', scope: 'read', secret: ['key'] })
// @ts-expect-error one function needs a name
governed(charge, { scope: 'read' })
// @ts-expect-error `ping` has no options
governed({ charge, ping }, { charge: { scope: 'read' } })
// @ts-expect-error there is no function `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error a session's id can't be written
session.id = 'other'
