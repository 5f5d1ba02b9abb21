import { expect } from 'vitest'
import { type Asked, ask, decided } from './asking.ts'
import { DAY, HOUR, MINUTE, meter, on, onStanding, type Scene, type StoreCase } from './scene.ts'

const usd = meter('usd', 50n)
const consent = { id: 'p', binding: 'b' }
const grant = { id: 'p', binding: 'g', grant: true } as const

/** Asserts that an admit which presents an approval is refused, and why. */
async function expectRefused(
  scene: Scene,
  call: string,
  refused: string,
  presented: typeof consent & { readonly grant?: true } = consent,
): Promise<void> {
  expect(await scene.admit(call, [on(usd, 1n)], { consent: presented })).toEqual({ ok: false, refused })
}

async function expectUsedBy(scene: Scene, call: string | undefined, id = 'p'): Promise<void> {
  const { usedBy, usedAt } = (await scene.store.approval.get(id)) ?? {}
  expect({ usedBy, used: usedAt !== undefined }).toEqual({ usedBy: call, used: call !== undefined })
}

/** Session `s` with a budget of 50, and an approval `p` that was approved. */
async function approved(scene: Scene, asked: Asked = {}): Promise<void> {
  await scene.session({ meters: [usd], ttlMs: DAY })
  await decided(scene, { state: 'approved' }, asked)
}

export const CONSENTS: readonly StoreCase[] = [
  {
    title: 'an approval lets one call run, and no other after it',
    async run(scene) {
      await approved(scene)
      await scene.clock.advance(MINUTE)
      await scene.expectAdmitted('c', [on(usd, 1n)], { consent })
      const used = await scene.store.approval.get('p')
      expect(used).toMatchObject({ usedBy: 'c', usedAt: scene.clock.now(), state: 'approved', version: 2 })
      await expectRefused(scene, 'd', 'approval-used')
      await scene.settle('c')
      await expectRefused(scene, 'd', 'approval-used')
      expect(await scene.store.approval.get('p')).toEqual(used)
      await scene.expectMeter(usd, 1n, 0n)
    },
  },
  {
    title: 'of a hundred calls at once that present one approval exactly one is admitted',
    async run(scene) {
      await approved(scene)
      const calls = Array.from({ length: 100 }, (_, index) => scene.admit(`c${index}`, [on(usd, 1n)], { consent }))
      const admissions = await Promise.all(calls)
      expect(admissions.filter(({ ok }) => ok)).toHaveLength(1)
      expect(admissions.filter(({ ok }) => !ok)).toEqual(Array(99).fill({ ok: false, refused: 'approval-used' }))
      await expectUsedBy(scene, `c${admissions.findIndex(({ ok }) => ok)}`)
      await scene.expectMeter(usd, 0n, 1n)
    },
  },
  {
    title: 'an approval lets a call run only when it was approved, for this session and exactly this',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.session({ id: 'o' })
      for (const [id, state] of [
        ['denied', 'denied'],
        ['withdrawn', 'withdrawn'],
        ['good', 'approved'],
        ['edited', 'approved'],
      ] as const) {
        await decided(scene, { state, ...(id === 'edited' ? { binding: 'new' } : {}) }, { id })
      }
      await ask(scene, { id: 'pending', ttlMs: 9 * MINUTE })
      await decided(scene, { state: 'approved' }, { id: 'theirs', session: 'o' })
      const refusals = {
        nobody: 'approval-denied',
        denied: 'approval-denied',
        withdrawn: 'approval-denied',
        edited: 'approval-denied',
        theirs: 'approval-denied',
        pending: 'approval-pending',
      }
      for (const [id, refused] of Object.entries(refusals)) {
        await expectRefused(scene, 'c', refused, { id, binding: 'b' })
      }
      for (const wrong of ['other', '', 'B']) {
        await expectRefused(scene, 'c', 'approval-denied', { id: 'good', binding: wrong })
      }
      for (const id of ['denied', 'theirs', 'pending', 'good']) await expectUsedBy(scene, undefined, id)
      await scene.expectMeter(usd, 0n, 0n)
      await scene.expectAdmitted('c', [on(usd, 1n)], { consent: { id: 'good', binding: 'b' } })
      await scene.expectAdmitted('d', [on(usd, 1n)], { consent: { id: 'edited', binding: 'new' } })
    },
  },
  {
    title: 'an approval lets a call run up to its last millisecond, swept or not',
    async run(scene) {
      await approved(scene)
      await decided(scene, { state: 'approved' }, { id: 'q' })
      await ask(scene, { id: 'nobody said' })
      await scene.clock.advance(5 * MINUTE - 1)
      await scene.expectAdmitted('c', [on(usd, 1n)], { consent: { id: 'q', binding: 'b' } })
      await expectRefused(scene, 'd', 'approval-pending', { id: 'nobody said', binding: 'b' })
      await scene.clock.advance(1)
      for (let turn = 0; turn < 2; turn++) {
        await expectRefused(scene, 'd', 'approval-expired')
        await expectRefused(scene, 'd', 'approval-expired', { id: 'nobody said', binding: 'b' })
        await scene.store.approval.expire(9)
      }
      await expectUsedBy(scene, undefined)
    },
  },
  {
    title: 'an admit that is refused for anything else does not use the approval',
    async run(scene) {
      const rate = { key: 't|rate', window: 'total', rate: { limit: 1n, periodMs: MINUTE, burst: 1n } } as const
      await approved(scene)
      await scene.expectAdmitted('taken', [], { once: 'k' })
      await scene.cancel('gone')
      const refused = [
        await scene.admit('c', [on(usd, 51n)], { consent }),
        await scene.admit('c', [on(usd, 1n), on(meter('missing', 1n), 1n)], { consent }),
        await scene.admit('c', [onStanding(rate, 2n)], { consent }),
        await scene.admit('c', [], { consent, once: 'k' }),
        await scene.admit('gone', [], { consent }),
      ].map((admission) => !admission.ok && admission.refused)
      expect(refused).toEqual(['budget-exceeded', 'unavailable', 'rate-exceeded', 'duplicate-call', 'unavailable'])
      await expectUsedBy(scene, undefined)
      await scene.expectAdmitted('d', [on(usd, 50n)], { consent })
      await expectUsedBy(scene, 'd')
    },
  },
  {
    title: 'a call that its approval refuses takes nothing, and lets nothing run',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await decided(scene, { state: 'denied' })
      await scene.reserve('r', [on(usd, 5n)])
      await expectRefused(scene, 'r', 'approval-denied')
      expect(await scene.store.hold.get('r')).toMatchObject({ state: 'reserved' })
      expect(await scene.admit('c', [on(usd, 1n)], { consent, once: 'k' })).toMatchObject({
        refused: 'approval-denied',
      })
      await scene.expectMeter(usd, 0n, 5n)
      await scene.expectAdmitted('d', [], { once: 'k' })
    },
  },
  {
    title: 'a call that charges nothing uses its approval all the same, and is the same call again',
    async run(scene) {
      await approved(scene)
      for (let turn = 0; turn < 2; turn++) await scene.expectAdmitted('c', [], { consent })
      await expectUsedBy(scene, 'c')
      expect(await scene.admit('d', [], { consent })).toEqual({ ok: false, refused: 'approval-used' })
    },
  },
  {
    title: 'the same call with the same approval again is the same admission, also after the approval’s end',
    async run(scene) {
      await approved(scene)
      await scene.expectAdmitted('c', [on(usd, 5n)], { consent, leaseMs: HOUR })
      const used = await scene.store.approval.get('p')
      await scene.clock.advance(6 * MINUTE)
      await scene.expectAdmitted('c', [on(usd, 5n)], { consent })
      expect(await scene.store.approval.get('p')).toEqual(used)
      await scene.expectMeter(usd, 0n, 5n)
      await scene.settle('c')
      await expectRefused(scene, 'c', 'unavailable')
    },
  },
  {
    title: 'a reserved hold needs no approval; the admit that lets it run uses one',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await ask(scene)
      const presented = { consent: { id: 'p', binding: 'b' } }
      expect(await scene.reserve('c', [on(usd, 5n)], presented)).toMatchObject({ ok: true })
      await expectRefused(scene, 'c', 'approval-pending')
      await scene.store.approval.change('p', 1, { state: 'approved' })
      expect(await scene.reserve('c', [on(usd, 5n)], presented)).toMatchObject({ ok: true })
      await expectUsedBy(scene, undefined)
      await scene.expectAdmitted('c', [], presented)
      await expectUsedBy(scene, 'c')
      expect(await scene.store.hold.get('c')).toMatchObject({ state: 'running' })
      await scene.expectMeter(usd, 0n, 5n)
    },
  },
  {
    title: 'a reserved hold whose lease is over does not use the approval it would have run with',
    async run(scene) {
      await approved(scene)
      await scene.reserve('c', [on(usd, 5n)], { leaseMs: MINUTE })
      await scene.clock.advance(MINUTE)
      await expectRefused(scene, 'c', 'unavailable')
      await expectUsedBy(scene, undefined)
    },
  },
  {
    title: 'a session that is over is the reason, whatever was approved in it; its approvals stay as they are',
    async run(scene) {
      await approved(scene)
      await ask(scene, { id: 'q' })
      await scene.store.session.revokeTree('s')
      await expectRefused(scene, 'c', 'session-revoked')
      await expectRefused(scene, 'c', 'session-revoked', { id: 'q', binding: 'b' })
      await expectUsedBy(scene, undefined)
      expect(await scene.store.approval.get('q')).toMatchObject({ state: 'pending', version: 1 })
    },
  },
  {
    title: 'a grant lets calls run until its end, to the millisecond, and is not used up',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await ask(scene, { grant: { binding: 'g' } })
      await expectRefused(scene, 'c0', 'approval-pending', grant)
      await scene.store.approval.change('p', 1, { state: 'approved', grantMs: 10 * MINUTE })
      for (const call of ['c0', 'c1', 'c2']) await scene.expectAdmitted(call, [on(usd, 1n)], { consent: grant })
      await expectUsedBy(scene, undefined)
      // The approval itself is another thing, used once.
      await scene.expectAdmitted('c3', [on(usd, 1n)], { consent })
      await scene.clock.advance(10 * MINUTE - 1)
      await scene.expectAdmitted('c4', [on(usd, 1n)], { consent: grant })
      await scene.clock.advance(1)
      await expectRefused(scene, 'c5', 'approval-expired', grant)
      await expectUsedBy(scene, 'c3')
    },
  },
  {
    title: 'a grant lets nothing run that it is not for, and none that was not given',
    async run(scene) {
      await scene.session({ meters: [usd] })
      await scene.session({ id: 'o' })
      await decided(scene, { state: 'approved', grantMs: HOUR }, { grant: { binding: 'g' } })
      await decided(scene, { state: 'approved' }, { id: 'not given', grant: { binding: 'g' } })
      await decided(scene, { state: 'denied', grantMs: HOUR }, { id: 'denied', grant: { binding: 'g' } })
      await decided(scene, { state: 'approved' }, { id: 'none' })
      const refusals = [
        [{ ...grant, binding: 'b' }, 'approval-denied'],
        [{ ...grant, id: 'not given' }, 'approval-expired'],
        [{ ...grant, id: 'denied' }, 'approval-denied'],
        [{ ...grant, id: 'none' }, 'approval-denied'],
        [{ id: 'p', binding: 'g' }, 'approval-denied'],
      ] as const
      for (const [presented, refused] of refusals) await expectRefused(scene, 'c', refused, presented)
      expect(await scene.admit('c', [], { session: 'o', consent: grant })).toMatchObject({ refused: 'approval-denied' })
    },
  },
  {
    title: 'an approval that was used without a call, or by one that was cancelled, lets no other run',
    async run(scene) {
      await approved(scene)
      await decided(scene, { state: 'approved' }, { id: 'q' })
      await scene.expectAdmitted('c', [on(usd, 1n)], { consent })
      await scene.cancel('c')
      expect(await scene.store.approval.use('q', 'x')).toBe(true)
      expect(await scene.store.approval.use('p', 'x')).toBe(false)
      await expectRefused(scene, 'd', 'approval-used')
      await expectRefused(scene, 'd', 'approval-used', { id: 'q', binding: 'b' })
      await scene.expectMeter(usd, 0n, 0n)
    },
  },
]
