import { expect } from 'vitest'
import { DAY, HOUR, MINUTE, meter, on, type Scene, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const still = (rule: string) => ({ ok: false, refused: 'session-suspended', rule })

/** A parent, its child, the child of that, another child of the parent, and one apart. */
async function family(scene: Scene): Promise<void> {
  await scene.session({ id: 'root' })
  await scene.session({ id: 'child', chain: ['root'] })
  await scene.session({ id: 'grandchild', chain: ['root', 'child'] })
  await scene.session({ id: 'sibling', chain: ['root'] })
  await scene.session({ id: 'stranger' })
}

/** Which of them admit, by name. */
async function acting({ store }: Scene): Promise<string[]> {
  const names = ['root', 'child', 'grandchild', 'sibling', 'stranger']
  const found: string[] = []
  for (const session of names) {
    const call = `${session} ${calls++}`
    if ((await store.admit({ call, session, charges: [], leaseMs: MINUTE })).ok) found.push(session)
  }
  return found
}
let calls = 0

export const SUSPENDING: readonly StoreCase[] = [
  {
    title: 'a suspended session admits and reserves nothing, and says by which rule',
    async run(scene) {
      const row = await scene.session({ meters: [usd] })
      expect(await scene.store.session.suspendTree('s', 'signal:loop')).toEqual(['s'])
      expect(await scene.admit('c', [on(usd, 1n)])).toEqual(still('signal:loop'))
      expect(await scene.admit('d', [])).toEqual(still('signal:loop'))
      expect(await scene.reserve('e', [on(usd, 1n)])).toEqual(still('signal:loop'))
      await scene.expectMeter(usd, 0n, 0n)
      const suspended = { by: 's', rule: 'signal:loop' }
      expect(await scene.store.session.get({ id: 's' })).toEqual({ ...row, suspended })
      expect(await scene.store.session.get({ tokenHash: 'hash of s' })).toEqual({ ...row, suspended })
      expect(row).not.toHaveProperty('suspended')
    },
  },
  {
    title: 'a session that is resumed admits again, and stands in its row as before',
    async run(scene) {
      const row = await scene.session({ meters: [usd] })
      await scene.store.session.suspendTree('s', 'signal:loop')
      expect(await scene.store.session.resumeTree('s')).toEqual(['s'])
      await scene.expectAdmitted('c', [on(usd, 1n)])
      expect(await scene.store.session.get({ id: 's' })).toEqual(row)
      expect(await scene.store.session.resumeTree('s')).toEqual([])
    },
  },
  {
    title: 'suspending reaches every descendant, names what stands still, and spares the others',
    async run(scene) {
      await family(scene)
      expect([...(await scene.store.session.suspendTree('child', 'r'))].sort()).toEqual(['child', 'grandchild'])
      expect(await acting(scene)).toEqual(['root', 'sibling', 'stranger'])
      expect([...(await scene.store.session.suspendTree('root', 'r'))].sort()).toEqual(['root', 'sibling'])
      expect(await acting(scene)).toEqual(['stranger'])
      expect(await scene.store.session.suspendTree('root', 'other')).toEqual([])
      expect(await scene.store.session.get({ id: 'root' })).toMatchObject({ suspended: { by: 'root', rule: 'r' } })
    },
  },
  {
    title: 'resuming a session lifts nothing that an ancestor or a descendant is suspended for',
    async run(scene) {
      await family(scene)
      const { session } = scene.store
      await session.suspendTree('child', 'of the child')
      await session.suspendTree('root', 'of the root')
      expect(await session.resumeTree('child')).toEqual([])
      expect(await acting(scene)).toEqual(['stranger'])
      expect(await session.get({ id: 'grandchild' })).toMatchObject({ suspended: { by: 'root', rule: 'of the root' } })
      await session.suspendTree('grandchild', 'of the grandchild')
      expect([...(await session.resumeTree('root'))].sort()).toEqual(['child', 'root', 'sibling'])
      expect(await acting(scene)).toEqual(['root', 'child', 'sibling', 'stranger'])
      expect(await session.resumeTree('grandchild')).toEqual(['grandchild'])
      expect(await acting(scene)).toEqual(['root', 'child', 'grandchild', 'sibling', 'stranger'])
    },
  },
  {
    title: 'a session made from a suspended one stands still from the start, until that is resumed',
    async run(scene) {
      await scene.session({ id: 'root' })
      await scene.store.session.suspendTree('root', 'r')
      const made = await scene.session({ id: 'late', chain: ['root'] })
      expect(made.suspended).toEqual({ by: 'root', rule: 'r' })
      expect(await scene.admit('c', [], { session: 'late' })).toEqual(still('r'))
      expect([...(await scene.store.session.resumeTree('root'))].sort()).toEqual(['late', 'root'])
      await scene.expectAdmitted('d', [], { session: 'late' })
    },
  },
  {
    title: 'a suspended session that is over says that it is over',
    async run(scene) {
      await scene.session({ id: 'revoked' })
      await scene.session({ id: 'expired', ttlMs: HOUR })
      for (const id of ['revoked', 'expired']) await scene.store.session.suspendTree(id, 'r')
      await scene.store.session.revokeTree('revoked')
      await scene.clock.advance(HOUR)
      expect(await scene.admit('c', [], { session: 'revoked' })).toEqual({ ok: false, refused: 'session-revoked' })
      expect(await scene.admit('d', [], { session: 'expired' })).toEqual({ ok: false, refused: 'session-expired' })
    },
  },
  {
    title: 'what was reserved before is not admitted while its session is suspended, and is when it is resumed',
    async run(scene) {
      await scene.session({ meters: [usd] })
      expect(await scene.reserve('c', [on(usd, 20n)])).toMatchObject({ ok: true })
      await scene.store.session.suspendTree('s', 'r')
      expect(await scene.admit('c', [on(usd, 20n)])).toEqual(still('r'))
      await scene.expectMeter(usd, 0n, 20n)
      await scene.store.session.resumeTree('s')
      await scene.expectAdmitted('c', [on(usd, 20n)])
    },
  },
  {
    title: 'what runs while its session is suspended can still be settled, and the session extended',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.expectAdmitted('c', [on(usd, 20n)])
      await scene.store.session.suspendTree('s', 'r')
      expect(await scene.settle('c', [on(usd, 15n)])).toEqual({ state: 'settled', overrun: false })
      await scene.expectMeter(usd, 15n, 0n)
      expect(await scene.store.session.extend('s', DAY)).toMatchObject({
        expiresAt: scene.clock.now() + DAY,
        suspended: { by: 's', rule: 'r' },
      })
      expect(await scene.admit('d', [])).toEqual(still('r'))
    },
  },
  {
    title: 'nobody is asked for a suspended session',
    async run(scene) {
      await scene.session()
      await scene.store.session.suspendTree('s', 'r')
      const approval = {
        id: 'a',
        tenant: 't',
        session: 's',
        agent: 'a',
        tool: 'x',
        binding: 'b',
        ttlMs: HOUR,
        data: {},
      }
      const asked = await scene.store.approval.request(approval, { session: 5, agent: 5 }, [])
      expect(asked).toEqual(still('r'))
      expect(await scene.store.approval.list({ limit: 10 })).toEqual([])
    },
  },
  {
    title: 'suspending or resuming what is not known does nothing',
    async run(scene) {
      await scene.session()
      expect(await scene.store.session.suspendTree('nobody', 'r')).toEqual([])
      expect(await scene.store.session.resumeTree('nobody')).toEqual([])
      await scene.expectAdmitted('c', [])
    },
  },
]
