import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { currentFrame, inFrame } from '../context.ts'
import type { CurrentCall } from '../current-call.ts'
import { ConfigError, Denied } from '../errors.ts'
import type { Governor } from '../governor.ts'
import type { SessionRow } from '../stores/store.ts'
import type { CallSignal } from './call-signal.ts'
import { leaveOf } from './leaves.ts'
import { isSession, Session, type SessionActs, tokenHash, whyOver } from './sessions.ts'

const LIFE = 60_000

/** A session of a minute, and what its haldir was asked to do. */
function scene({ shadow = false, ...change }: Partial<SessionRow> & { shadow?: boolean } = {}) {
  const clock = fakeClock()
  const asked: unknown[][] = []
  const row: SessionRow = {
    id: 's1',
    tokenHash: '',
    tenant: 'acme',
    agent: 'bot',
    scopes: ['read'],
    attributes: { team: 'blue' },
    chain: ['s0'],
    createdAt: clock.now(),
    expiresAt: clock.now() + LIFE,
    ...change,
  }
  const note =
    (name: string) =>
    (...args: unknown[]): any => {
      asked.push([name, ...args])
      return Promise.resolve(name)
    }
  const acts = Object.fromEntries(
    ['revoke', 'delegate', 'extend', 'charge', 'budget'].map((name) => [name, note(name)]),
  ) as unknown as SessionActs
  const governor = { name: 'h', shadow } as Governor
  const leaves = [leaveOf(row, '')] as const
  const session = new Session({ row, token: 'tok', leaves: [leaves[0]], governor, clock, leftMs: LIFE, acts })
  return { clock, row, asked, session }
}

const calls = (session: Session, caller?: AbortSignal): CallSignal => session.callSignal(caller)

describe('a session', () => {
  it('shows what it is, and never its token', () => {
    const { session, row } = scene()
    expect([session.id, session.agent, session.tenant, session.scopes]).toEqual(['s1', 'bot', 'acme', ['read']])
    expect([session.attributes, session.chain, session.token]).toEqual([{ team: 'blue' }, ['s0'], 'tok'])
    expect(session.expiresAt).toEqual(new Date(row.expiresAt))
    expect(JSON.parse(JSON.stringify(session))).toEqual({
      id: 's1',
      agent: 'bot',
      tenant: 'acme',
      scopes: ['read'],
      expiresAt: new Date(row.expiresAt).toISOString(),
    })
    expect(inspect(session)).toBe('Session s1 (bot)')
    expect(tokenHash('tok')).toBe(createHash('sha256').update('tok').digest('hex'))
  })

  it('is told from everything else', () => {
    const { session } = scene()
    expect(isSession(session)).toBe(true)
    // One that another copy of the package has made.
    expect(isSession({ [Symbol.for('haldir.session')]: true, id: 'of another copy' })).toBe(true)
    for (const other of [new Proxy(session, {}), Object.create(session), { [Symbol.for('haldir.session')]: true }]) {
      expect(isSession(other)).toBe(false)
    }
    for (const other of [undefined, null, 's1', session.toJSON(), {}, () => session])
      expect(isSession(other)).toBe(false)
  })

  it('has its haldir do what reaches beyond this process', async () => {
    const { session, asked } = scene()
    const options = { agent: 'child', scopes: [] }
    expect(await Promise.all([session.delegate(options), session.extend('1h'), session.budget()])).toEqual([
      'delegate',
      'extend',
      'budget',
    ])
    await session.charge([], 'tokens')
    await session.revoke()
    await session.revoke('done')
    expect(asked).toEqual([
      ['delegate', session, options],
      ['extend', session, '1h'],
      ['budget', session],
      ['charge', session, [], 'tokens'],
      ['revoke', session, 'revoked'],
      ['revoke', session, 'done'],
    ])
  })

  it('is ambient in what it runs and binds, with its own call alone', () => {
    const { session } = scene()
    const { session: other } = scene({ id: 's2' })
    expect(session.run(() => currentFrame()?.session)).toBe(session)
    const bound = session.bind(function (this: unknown, a: number, b: number) {
      return [this, a + b, currentFrame()?.session]
    })
    expect(other.run(() => bound.call('me', 1, 2))).toEqual(['me', 3, session])
    const call = { session } as unknown as CurrentCall
    const inside = inFrame({ session, call }, () => [
      session.run(() => currentFrame()?.call),
      other.run(() => currentFrame()?.call),
    ])
    expect(inside).toEqual([call, undefined])
    let error: unknown
    try {
      session.run('work' as never)
    } catch (caught) {
      error = caught
    }
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code: 'invalid-option', path: 'run', message: '`run` takes a function' })
  })
})

describe('the end of a session', () => {
  it('comes when its time is over, not before, and tells by its signal why', async () => {
    const { session, clock } = scene()
    const { signal } = session
    expect(session.signal).toBe(signal)
    await clock.advance(LIFE - 1)
    expect([session.over(), signal.aborted, session.endsNow()]).toEqual([undefined, false, undefined])
    await clock.advance(1)
    expect([session.over(), signal.aborted]).toEqual(['session-expired', true])
    expect(Denied.isInstance(signal.reason)).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'session-expired', callId: '' })
    expect(signal.reason.message).toContain('the session has expired')
    expect(session.endsNow()).toMatchObject({ code: 'session-expired' })
    expect(clock.timers).toBe(0)
  })

  it('is known at once when it is revoked, and stays what it was', async () => {
    const { session, clock } = scene()
    const { signal } = session
    const revoked = session.revoke()
    expect([session.over(), signal.aborted]).toEqual(['session-revoked', true])
    expect(signal.reason).toMatchObject({ code: 'session-revoked' })
    expect(signal.reason.message).toContain('the session was revoked')
    await revoked
    session.end('session-expired')
    expect(session.over()).toBe('session-revoked')
    expect(clock.timers).toBe(0)
    expect([whyOver('session-expired'), whyOver('session-revoked')]).toEqual([
      'the session has expired',
      'the session was revoked',
    ])
  })

  it('has come for one that was revoked before', () => {
    const { session, clock } = scene({ revokedAt: 1 })
    expect(session.over()).toBe('session-revoked')
    expect(session.signal.aborted).toBe(true)
    expect(clock.timers).toBe(0)
  })

  it('has come for one that nobody looked at in time', async () => {
    const { session, clock } = scene()
    await clock.advance(LIFE)
    expect(session.signal.aborted).toBe(true)
  })

  it('stops nothing in shadow mode when time brings it; a revoke does', async () => {
    const late = scene({ shadow: true })
    await late.clock.advance(LIFE)
    expect([late.session.over(), late.session.signal.aborted]).toEqual(['session-expired', false])
    expect(late.clock.timers).toBe(0)

    const { session, clock } = scene({ shadow: true })
    const { signal } = session
    const call = calls(session).signal
    await clock.advance(LIFE)
    expect([session.over(), signal.aborted, call.aborted]).toEqual(['session-expired', false, false])

    const other = scene({ shadow: true }).session
    const running = calls(other).signal
    void other.revoke()
    expect([other.signal.aborted, running.aborted]).toEqual([true, true])
  })

  it('is noticed in time when somebody looks late', async () => {
    const { session, clock } = scene()
    await clock.advance(LIFE / 2)
    const { signal } = session
    await clock.advance(LIFE / 2 - 1)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.aborted).toBe(true)
  })

  it('is awaited with one timer, however many look', () => {
    const { session, clock } = scene()
    expect(clock.timers).toBe(0)
    void session.signal
    for (let count = 0; count < 3; count++) void calls(session).signal
    expect(clock.timers).toBe(1)
  })
})

describe('what the store knows better', () => {
  it('lets it live longer, by no more than the store says', async () => {
    const { session, row, clock } = scene()
    const { signal } = session
    await clock.advance(LIFE / 2)
    session.refresh({ ...row, expiresAt: row.expiresAt + LIFE }, LIFE)
    expect(session.expiresAt.getTime()).toBe(row.expiresAt + LIFE)
    // A minute from now: the wall clock of whoever extended it may say more.
    await clock.advance(LIFE - 1)
    expect([session.over(), signal.aborted]).toEqual([undefined, false])
    await clock.advance(1)
    expect([session.over(), signal.aborted]).toEqual(['session-expired', true])
  })

  it('adds no more than what was gained', async () => {
    const { session, row, clock } = scene()
    session.refresh({ ...row, expiresAt: row.expiresAt + 1_000 }, 10 * LIFE)
    await clock.advance(LIFE + 999)
    expect(session.over()).toBe(undefined)
    await clock.advance(1)
    expect(session.over()).toBe('session-expired')
  })

  it.each([0, -1_000])('gives it nothing, and takes nothing from it, for an end moved by %i ms', async (moved) => {
    const { session, row, clock } = scene()
    await clock.advance(LIFE / 2)
    session.refresh({ ...row, expiresAt: row.expiresAt + moved }, 1)
    session.refresh({ ...row, expiresAt: row.expiresAt + moved }, LIFE)
    await clock.advance(LIFE / 2 - 1)
    expect(session.over()).toBe(undefined)
    await clock.advance(1)
    expect(session.over()).toBe('session-expired')
  })

  it('ends it when it was revoked elsewhere, and brings back none that is over', async () => {
    const { session, row } = scene()
    const { signal } = session
    session.refresh({ ...row, revokedAt: 1, expiresAt: row.expiresAt + LIFE }, LIFE)
    expect([session.over(), signal.aborted, session.expiresAt.getTime()]).toEqual([
      'session-revoked',
      true,
      row.expiresAt,
    ])
    const late = scene()
    await late.clock.advance(LIFE)
    late.session.refresh({ ...late.row, expiresAt: late.row.expiresAt + LIFE }, LIFE)
    expect(late.session.over()).toBe('session-expired')
  })
})

describe('the signal of a call', () => {
  it('is made once, and aborts with its session, for the same reason', () => {
    const { session } = scene()
    const call = calls(session)
    const { signal } = call
    expect(call.signal).toBe(signal)
    expect(signal.aborted).toBe(false)
    session.end('session-revoked')
    expect(signal.reason).toMatchObject({ code: 'session-revoked' })
    expect(calls(session).signal.reason).toMatchObject({ code: 'session-revoked' })
  })

  it('aborts with its caller, for the same reason', () => {
    const { session } = scene()
    const caller = new AbortController()
    const { signal } = calls(session, caller.signal)
    expect(signal.aborted).toBe(false)
    caller.abort('enough')
    expect([signal.aborted, signal.reason]).toEqual([true, 'enough'])
    expect(calls(session, AbortSignal.abort('before')).signal.reason).toBe('before')
  })

  it('does not abort any more when the call has ended, and nothing holds on to it', () => {
    const { session, clock } = scene()
    const caller = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = caller.signal
    Object.assign(caller.signal, {
      addEventListener: (...args: Parameters<AbortSignal['addEventListener']>) => {
        listeners++
        addEventListener.apply(caller.signal, args)
      },
      removeEventListener: (...args: Parameters<AbortSignal['removeEventListener']>) => {
        listeners--
        removeEventListener.apply(caller.signal, args)
      },
    })
    const call = calls(session, caller.signal)
    const { signal } = call
    expect(listeners).toBe(1)
    call.end()
    expect(listeners).toBe(0)
    caller.abort()
    session.end('session-revoked')
    expect(signal.aborted).toBe(false)
    expect(clock.timers).toBe(0)
  })

  it('may be looked at for the first time when the call has ended', () => {
    const { session } = scene()
    const caller = new AbortController()
    const call = calls(session, caller.signal)
    call.abort('nobody has looked')
    call.end()
    const { signal } = call
    caller.abort()
    session.end('session-revoked')
    expect(signal.aborted).toBe(false)
    const alone = calls(scene().session)
    void alone.signal
    alone.end()
    expect(alone.signal.aborted).toBe(false)
  })
})
