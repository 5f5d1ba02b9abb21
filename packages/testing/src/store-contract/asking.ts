/** What the tests of approvals share: asking with everything filled in that a test does not care about. */
import type { Store } from '@haldir/core'
import { expect } from 'vitest'
import { MINUTE, type Scene } from './scene.ts'

type Approvals = Store['approval']
type Ask = Parameters<Approvals['request']>
export type NewApproval = Ask[0]
export type ApprovalRow = NonNullable<Awaited<ReturnType<Approvals['get']>>>
export type ApprovalChange = Parameters<Approvals['change']>[2]
export type Requested = Awaited<ReturnType<Approvals['request']>>
export type Delivery = Awaited<ReturnType<Approvals['due']>>[number]

export interface Asked extends Partial<NewApproval> {
  readonly limits?: Ask[1]
  readonly channels?: Ask[2]
}

/** Approval `p` of session `s`, for five minutes, unless told otherwise. Nothing is too many, and nobody is told. */
export async function request(scene: Scene, { limits, channels = [], ...rest }: Asked = {}): Promise<Requested> {
  const base = {
    id: 'p',
    tenant: 't',
    session: 's',
    agent: 'a',
    tool: 'charge',
    binding: 'b',
    data: {},
    ttlMs: 5 * MINUTE,
  }
  return scene.store.approval.request({ ...base, ...rest }, limits ?? { session: 1e6, agent: 1e6 }, channels)
}

/** The same, of something that must be asked. */
export async function ask(scene: Scene, asked: Asked = {}): Promise<ApprovalRow> {
  const requested = await request(scene, asked)
  if (!requested.ok) throw new Error(`the approval was refused: ${requested.refused}`)
  return requested.row
}

/** Asks, and decides at once. */
export async function decided(scene: Scene, change: ApprovalChange, asked: Asked = {}): Promise<ApprovalRow> {
  const { id } = await ask(scene, asked)
  const row = await scene.store.approval.change(id, 1, change)
  if (!row) throw new Error('the approval could not be changed')
  return row
}

/** Asserts who has to be told now, as `id→channel`. They have to again when `leaseMs` is over. */
export async function expectDue(
  scene: Scene,
  channels: readonly string[],
  due: readonly string[],
  leaseMs: number = MINUTE,
): Promise<void> {
  const handed = await scene.store.approval.due(channels, 100, leaseMs)
  expect(handed.map(({ row, channel }) => `${row.id}→${channel}`)).toEqual(due)
}
