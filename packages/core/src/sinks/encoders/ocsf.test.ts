import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Chain, callFragment, type Draft, NOBODY, sessionFragment, toolFragment } from '../../watch/chain.ts'
import { ENTRY_TYPES } from '../../watch/entry.ts'
import { sentEntry } from './encoder.ts'
import { ocsf } from './ocsf.ts'

const SESSION = sessionFragment({ tenant: 'acme', agent: 'bot', id: 's1', chain: ['s0'] })
const CALL = callFragment({ id: 'c1' }, toolFragment({ name: 'charge' }), undefined)
const NOW = Date.UTC(2026, 0, 1)

/** Events of these drafts, one chain. */
function eventsOf(...drafts: Partial<Draft>[]): Record<string, any>[] {
  const chain = new Chain('w', 'shop')
  const lines = drafts.map((draft, index) =>
    chain.append({ session: SESSION, type: 'intent', ...draft } as Draft, NOW + index).trim(),
  )
  const { body, refused } = ocsf().encode(lines.map(sentEntry), NOW)
  expect(refused).toEqual([])
  return body
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text))
}

/** What OCSF 1.9.0 requires of these classes: attributes, and the objects' own. */
const BASE = ['activity_id', 'category_uid', 'class_uid', 'metadata', 'severity_id', 'time', 'type_uid']
const REQUIRED: Record<number, readonly string[]> = {
  6003: ['actor', 'api', 'src_endpoint'],
  3003: ['user'],
  2004: ['finding_info'],
}
const CATEGORY: Record<number, number> = { 6003: 6, 3003: 3, 2004: 2 }

function expectSound(event: Record<string, any>): void {
  for (const key of [...BASE, ...(REQUIRED[event.class_uid] ?? [])]) expect(event, key).toHaveProperty(key)
  expect(event.category_uid).toBe(CATEGORY[event.class_uid])
  expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id)
  // An activity that is none of the class's own has to be named.
  if (event.activity_id === 99) expect(event.activity_name).toMatch(/\S/)
  expect(event.metadata).toMatchObject({ version: '1.9.0', product: { name: 'Haldir' } })
  expect(event.metadata.profiles).toContain('record_integrity')
  if (event.class_uid === 6003) {
    expect(event.api.operation).toMatch(/\S/)
    expect(event.actor.app_name ?? event.actor.user ?? event.actor.session).toBeDefined()
    expect(event.src_endpoint.svc_name).toBe('shop')
    if (event.api.request) expect(event.api.request.uid).toMatch(/\S/)
  }
  if (event.class_uid === 3003) {
    expect(event.user.name).toMatch(/\S/)
    expect(event.privileges.length).toBeGreaterThan(0)
  }
  if (event.class_uid === 2004) expect(event.finding_info.uid).toBe(event.metadata.uid)
  if (event.ai_agent) expect(event.ai_agent.uid).toBe('bot')
  const [attestation] = event.attestation_list
  expect(attestation.fingerprint).toMatchObject({ algorithm_id: 3, value: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(JSON.stringify(event)).not.toContain('null')
}

describe('OCSF', () => {
  it('has a sound event for every kind of entry', () => {
    const events = eventsOf(
      ...ENTRY_TYPES.map((type) => ({ type, data: { scopes: ['pay'], reason: 'why' } }) as Partial<Draft>),
    )
    expect(events).toHaveLength(ENTRY_TYPES.length)
    for (const event of events) expectSound(event)
    const classes = Object.fromEntries(events.map((event) => [event.metadata.event_code, event.class_uid]))
    expect(classes).toMatchObject({ intent: 6003, refusal: 6003, 'writer-opened': 6003, signal: 2004 })
    expect(classes).toMatchObject({ 'session-created': 3003, 'session-delegated': 3003, 'session-extended': 3003 })
    expect(classes['session-revoked']).toBe(6003)
  })

  it('tells a call that ran from one that failed and one that was refused', () => {
    const call = { call: CALL }
    const [ran, failed, refused, opened] = eventsOf(
      { ...call, type: 'outcome', data: { ended: 'ok' } },
      { ...call, type: 'outcome', data: { ended: 'failed', error: 'TypeError' } },
      { ...call, type: 'refusal', code: 'budget-exceeded', data: { reason: 'too much' } },
      { type: 'writer-opened', session: NOBODY },
    )
    expect(ran).toMatchObject({ status_id: 1, action_id: 1, disposition_id: 1, severity_id: 1, type_uid: 600399 })
    expect(ran).toMatchObject({
      api: { operation: 'charge', request: { uid: 'c1' } },
      actor: { session: { uid: 's1' } },
    })
    expect(failed).toMatchObject({ status_id: 2, action_id: 1, status_code: 'failed', status_detail: 'TypeError' })
    expect(refused).toMatchObject({ status_id: 2, action_id: 2, disposition_id: 2, severity_id: 2 })
    expect(refused).toMatchObject({ status_code: 'budget-exceeded', status_detail: 'too much' })
    expect(refused?.metadata.profiles).toContain('security_control')
    expect(opened).not.toHaveProperty('action_id')
    expect(opened).not.toHaveProperty('ai_agent')
  })

  it('carries the chain: who has the events can check every link, and what it was made of', () => {
    const events = eventsOf({}, {}, { type: 'signal', data: { text: 'Zoë"\\🧾' } })
    let before: { uid: string; fingerprint: object } | undefined
    for (const event of events) {
      const [{ uid, chain_uid, fingerprint, prev_event }] = event.attestation_list
      expect([uid, chain_uid]).toEqual([event.metadata.uid, 'w'])
      expect(hash('sha256', event.raw_data)).toBe(fingerprint.value)
      expect(prev_event).toEqual(before)
      before = { uid, fingerprint }
    }
  })
})
