/** Whose call it is: the explicit session, then the framework's context, then the ambient one; never a guess. */
import { currentCall, type Session, usd } from '@haldir/core'
import type { Where } from '@haldir/core/adapter'
import { expect } from 'vitest'
import type { AdapterDriver, Answer } from './driver.ts'
import { bodyOf, type Cases, expectDenial, gate, house } from './house.ts'

/** Drives one call of a fresh tool and answers what the model read; the tool answers the id of its session. */
async function ask(driver: AdapterDriver, where: Where, carried?: unknown): Promise<Answer> {
  const body = bodyOf('whose', () => currentCall().session.id)
  const tool = driver.wrap(driver.build(body), { name: 'whose', scope: 'read' }, where)
  const options = carried === undefined ? {} : { carried }
  const { answers } = await driver.loop({ whose: tool }, [{ tool: 'whose', args: {} }], options)
  if (answers[0]?.read.startsWith('Denied')) expect(body.got).toEqual([])
  return answers[0] as Answer
}

export const identity: Cases = {
  'the session may be explicit': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    expect((await ask(driver, { session })).read).toContain(session.id)
  },

  "the session may come in the framework's context": async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    expect((await ask(driver, { haldir: home.haldir }, session)).read).toContain(session.id)
    expect((await ask(driver, {}, session)).read).toContain(session.id)
  },

  'the session may be ambient': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    expect((await session.run(() => ask(driver, { haldir: home.haldir }))).read).toContain(session.id)
    expect((await session.run(() => ask(driver, {}))).read).toContain(session.id)
    expect((await session.run(() => ask(driver, { session }, session))).read).toContain(session.id)
  },

  'without a session a call is refused': async (driver) => {
    await using home = house()
    expectDenial(await ask(driver, { haldir: home.haldir }), 'no-session')
    expectDenial(await ask(driver, {}), 'no-session')
    expect(await home.entries({ type: 'refusal', code: 'no-session' })).not.toEqual([])
  },

  'text in the context is no session, not even an id or a token': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const { haldir } = home
    for (const text of [session.id, session.token, JSON.stringify(session)]) {
      const answer = await ask(driver, { haldir }, text)
      expectDenial(answer, 'no-session')
      expect(answer.read).not.toContain(session.token)
      expectDenial(await session.run(() => ask(driver, { haldir }, text)), 'no-session')
    }
    expectDenial(await ask(driver, { haldir }, { ...session, id: session.id }), 'no-session')
  },

  'sessions that disagree are refused': async (driver) => {
    await using home = house()
    const [one, other] = [await home.newSession('read'), await home.newSession('read')]
    expectDenial(await other.run(() => ask(driver, { session: one })), 'no-session')
    expectDenial(await other.run(() => ask(driver, { haldir: home.haldir }, one)), 'no-session')
    expectDenial(await ask(driver, { session: other }, one), 'no-session')
  },

  'a session of another haldir is refused': async (driver) => {
    await using home = house()
    await using away = house()
    const session = await away.newSession('read')
    expectDenial(await session.run(() => ask(driver, { haldir: home.haldir })), 'no-session')
  },

  'two sessions at once do not mix': async (driver) => {
    await using home = house()
    const sessions = [await home.newSession('spend:1'), await home.newSession('spend:2')]
    let waiting = 3
    const all = gate()
    const seen: string[] = []
    const body = bodyOf('charge', async () => {
      const before = currentCall().session.id
      if (--waiting === 0) all.open()
      await all.opened
      seen.push(before, currentCall().session.id)
      return before
    })
    const tool = driver.wrap(
      driver.build(body),
      { name: 'charge', scope: 'spend', cost: usd(1) },
      { haldir: home.haldir },
    )
    const calls = [1, 2, 3].map((index) => ({ tool: 'charge', args: {}, id: `call-${index}` }))
    const loop = (session: Session) => session.run(() => driver.loop({ charge: tool }, calls))
    const loops = await Promise.all(sessions.map(loop))
    for (const [index, session] of sessions.entries()) {
      const ran = loops[index]?.answers.filter(({ read }) => read.includes(session.id))
      expect(ran).toHaveLength(index + 1)
      expect(seen.filter((id) => id === session.id)).toHaveLength(2 * (index + 1))
      expect(await home.entries({ type: 'outcome', session: session.id })).toHaveLength(index + 1)
      expect(await home.entries({ type: 'refusal', session: session.id })).toHaveLength(2 - index)
    }
  },
}
