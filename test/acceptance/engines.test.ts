/** Replicas of an agent on one store, whatever goes wrong between them and it: nothing is overspent. */
import { createHaldir, Denied, governed, type HaldirOptions, money, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { afterEach, describe, expect, it } from 'vitest'
import { openStore, type StoreSpec } from '../crash/programs/store.ts'
import { proves } from '../promises.ts'
import { engineFor, POSTGRES, REDIS, SQLITE } from '../servers/engines.ts'
import { wireTo } from '../servers/proxy.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** Another process, as far as the store can tell: a client, a store and a haldir of its own. */
async function replica(place: StoreSpec, options: Partial<HaldirOptions> = {}) {
  const haldir = createHaldir({ store: await openStore(place), sinks: [memorySink()], ...options })
  cleanup.push(() => haldir.close())
  let paid = 0
  const tool = (amount = usd(1)) =>
    governed(async () => void paid++, { name: 'pay', scope: 'spend', cost: () => amount }, { haldir })
  return { haldir, tool, paid: () => paid }
}

const codeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'paid',
    (error: unknown) => (Denied.isInstance(error) ? error.code : String(error)),
  )

describe.each([SQLITE, REDIS, POSTGRES])('replicas on $name', { timeout: 120_000 }, (own) => {
  const { unable } = own
  const engine = engineFor(own)

  const budgetOf = async (place: StoreSpec, token: string) => {
    const { haldir } = await replica(place)
    const [line] = await (await haldir.attach(token)).budget()
    return [line?.used.decimal, line?.held.decimal]
  }

  /** Ten replicas pay at once, together twice as often as the budget is for. */
  async function ten(place: StoreSpec, near: StoreSpec = place) {
    const { haldir } = await replica(place)
    const { token } = await haldir.createSession({ agent: 'fleet', scopes: ['spend:50'] })
    const replicas = await Promise.all(Array.from({ length: 10 }, () => replica(near)))
    const codes = await Promise.all(
      replicas.map(async ({ haldir, tool }) => {
        const session = await haldir.attach(token)
        const pay = tool()
        return session.run(() => Promise.all(Array.from({ length: 10 }, () => codeOf(pay()))))
      }),
    )
    const count = (code: string) => codes.flat().filter((each) => each === code).length
    const paid = replicas.reduce((sum, each) => sum + each.paid(), 0)
    expect([paid, count('paid'), count('budget-exceeded')]).toEqual([50, 50, 50])
    expect(await budgetOf(place, token)).toEqual(['50', '0'])
  }

  it.skipIf(unable)('one that is started again pays what is left, and no more', async () => {
    proves('invariant-3', 'per-session-budget')
    const place = engine().place()
    const first = await replica(place)
    const session = await first.haldir.createSession({ agent: 'fleet', scopes: ['spend:5'] })
    const buy = first.tool()
    await session.run(() => Promise.all([buy(), buy(), buy()]))
    await first.haldir.close()
    const next = await replica(place)
    const again = await next.haldir.attach(session.token)
    const pay = next.tool()
    const codes = await again.run(async () => [await codeOf(pay()), await codeOf(pay()), await codeOf(pay())])
    expect(codes).toEqual(['paid', 'paid', 'budget-exceeded'])
  })

  it.skipIf(unable)('ten pay at once', () => ten(engine().place()))

  it.skipIf(unable)('ten pay at once, a millisecond away', async () => {
    const { server } = engine()
    if (!server) return ten(engine().place())
    const wire = await wireTo(server.port)
    cleanup.push(() => wire.close())
    wire.delayMs = 1
    const place = engine().place()
    await ten(place, again(place, wire.port))
  })

  it.skipIf(unable)('nobody pays in another currency', async () => {
    const place = engine().place()
    const { haldir, tool, paid } = await replica(place)
    const session = await haldir.createSession({ agent: 'fleet', scopes: ['spend:50', 'spend:5:EUR'] })
    const [euros, pounds] = [tool(money('EUR', 3)), tool(money('GBP', 1))]
    const codes = await session.run(async () => [await codeOf(euros()), await codeOf(euros()), await codeOf(pounds())])
    expect(codes).toEqual(['paid', 'budget-exceeded', 'budget-exceeded'])
    expect(paid()).toBe(1)
    expect((await session.budget()).map(({ unit, used }) => [unit, used.decimal])).toEqual([
      ['USD', '0'],
      ['EUR', '3'],
    ])
  })
})

/** What paying says when the engine is there again. It waits between two attempts: what is refused at once takes no turn. */
async function inTheEnd(pay: () => Promise<string>): Promise<string> {
  for (;;) {
    const code = await pay()
    if (code !== 'unavailable') return code
    await new Promise((wake) => setTimeout(wake, 20))
  }
}

/** The same place, reached another way. */
function again(place: StoreSpec, port: number): StoreSpec {
  if (typeof place === 'string') return place
  const moved = (url: string) => url.replace(/:\d+(?=\/|$)/, `:${port}`)
  return 'redis' in place ? { ...place, redis: moved(place.redis) } : { ...place, postgres: moved(place.postgres) }
}

describe.each([REDIS, POSTGRES])('between replicas and $name', { timeout: 120_000 }, (own) => {
  const { unable } = own
  const engine = engineFor(own)

  /** The deadline has to leave a busy machine the time to connect, which is not what is tested. */
  async function scene(deadline: `${number}ms`) {
    const wire = await wireTo(engine().server?.port ?? 0)
    cleanup.push(() => wire.close())
    const place = engine().place()
    const near = await replica(place)
    const far = await replica(again(place, wire.port), { deadline })
    const session = await near.haldir.createSession({ agent: 'fleet', scopes: ['spend:10'] })
    const other = await far.haldir.attach(session.token)
    const pay = far.tool()
    const standing = async () => {
      const [line] = await session.budget()
      return [line?.used.decimal, line?.held.decimal]
    }
    const settled = async () => {
      while (far.haldir.health().owed > 0)
        await far.haldir.flush().catch(() => new Promise((wake) => setTimeout(wake, 20)))
    }
    return { wire, far, pay: () => codeOf(other.run(pay)), standing, settled }
  }

  it.skipIf(unable)('a wire that is too slow refuses within the deadline, and holds nothing in the end', async () => {
    proves('invariant-6')
    const { wire, far, pay, standing, settled } = await scene('1000ms')
    expect(await pay()).toBe('paid')
    wire.delayMs = 2_000
    const began = performance.now()
    expect(await pay()).toBe('unavailable')
    expect(performance.now() - began).toBeLessThan(1_900)
    expect(far.paid()).toBe(1)
    wire.delayMs = 0
    await settled()
    expect(await inTheEnd(pay)).toBe('paid')
    await settled()
    expect(await standing()).toEqual(['2', '0'])
  })

  it.skipIf(unable)(
    'an answer that is lost charges nothing: not for the call that was refused, not twice',
    async () => {
      proves('invariant-3', 'invariant-6')
      const { wire, far, pay, standing, settled } = await scene('1000ms')
      expect(await pay()).toBe('paid')
      for (let turn = 0; turn < 3; turn++) {
        wire.deaf = true
        const refused = pay()
        await new Promise((wake) => setTimeout(wake, 50))
        // The command has arrived; the connection ends before anyone hears of it.
        wire.cut()
        wire.deaf = false
        expect(['unavailable', 'paid']).toContain(await refused)
      }
      await settled()
      expect(await standing()).toEqual([String(far.paid()), '0'])
      expect(await pay()).toBe('paid')
      await settled()
      expect(await standing()).toEqual([String(far.paid()), '0'])
    },
  )

  it.skipIf(unable)(
    'an engine that is gone refuses, and one that is back is used without anybody doing anything',
    async () => {
      const { far, pay, standing, settled } = await scene('1000ms')
      expect(await pay()).toBe('paid')
      await engine().server?.kill()
      expect(await pay()).toBe('unavailable')
      expect(far.paid()).toBe(1)
      await engine().server?.restart()
      expect(await inTheEnd(pay)).toBe('paid')
      await settled()
      expect(await standing()).toEqual([String(far.paid()), '0'])
    },
  )
})
