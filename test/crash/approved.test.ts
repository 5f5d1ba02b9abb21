/** A yes is used once, wherever the process dies that uses it. */
import { existsSync, readFileSync } from 'node:fs'
import { createHaldir } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { Program, scratch } from './process.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

async function scene() {
  const folder = scratch()
  cleanup.push(folder.remove)
  const haldir = createHaldir({ store: sqliteStore(folder.path('haldir.db')), sinks: [memorySink()], approvals: {} })
  cleanup.push(() => haldir.close())
  const session = await haldir.createSession({ agent: 'payer', scopes: ['spend:100'], ttl: '1d' })
  const input = {
    store: folder.path('haldir.db'),
    audit: folder.path('audit'),
    token: session.token,
    payments: folder.path('payments'),
  }
  const live = async (more: { approval?: string; die?: string }) => {
    const program = new Program('resume', { ...input, ...more })
    cleanup.push(() => program.kill())
    const ended = await program.ended
    return { ended, said: program.lines.at(-1) ?? '' }
  }
  const paid = () => (existsSync(input.payments) ? readFileSync(input.payments, 'utf8').split('\n').length - 1 : 0)
  const asked = await live({})
  const approval = asked.said.replace('suspended ', '')
  expect(asked).toEqual({ ended: 0, said: `suspended ${approval}` })
  return { haldir, session, live, paid, approval, audit: input.audit }
}

describe('a suspended call that was approved', { timeout: 240_000 }, () => {
  it.each([
    ['before admit', 1, 'paid 30'],
    ['after admit', 0, 'refused duplicate-call'],
    ['before payment', 0, 'refused duplicate-call'],
    ['after payment', 1, 'refused duplicate-call'],
    ['before settle', 1, 'refused duplicate-call'],
  ])('runs at most once when its process dies %s', async (die, times, said) => {
    proves('invariant-8')
    const { haldir, live, paid, approval, audit } = await scene()
    // Nobody has said yes yet: whoever resumes it is told to wait.
    expect(await live({ approval })).toEqual({ ended: 0, said: `suspended ${approval}` })
    await haldir.approvals.decide(approval, { approve: true, by: 'alice' })
    expect(await live({ approval, die })).toMatchObject({ ended: 'SIGKILL' })
    expect(await live({ approval })).toEqual({ ended: 0, said })
    expect(await live({ approval })).toEqual({ ended: 0, said: 'refused duplicate-call' })
    expect(paid()).toBe(times)
    const { problems } = await verifyFiles(audit)
    expect(problems.filter(({ kind }) => kind !== 'torn')).toEqual([])
  })

  it('runs once when eight processes resume it at the same moment', async () => {
    const { haldir, live, paid, approval } = await scene()
    await haldir.approvals.decide(approval, { approve: true, by: 'alice' })
    const told = await Promise.all(Array.from({ length: 8 }, () => live({ approval })))
    expect(told.map((one) => one.said).sort()).toEqual(['paid 30', ...Array(7).fill('refused duplicate-call')])
    expect(paid()).toBe(1)
  })

  it('does not run after a revoke in another process', async () => {
    const { haldir, session, live, paid, approval } = await scene()
    await haldir.approvals.decide(approval, { approve: true, by: 'alice' })
    await session.revoke('stop')
    expect((await live({ approval })).said).not.toContain('paid')
    expect(paid()).toBe(0)
  })
})
