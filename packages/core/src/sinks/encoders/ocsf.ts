import { checkKeys } from '../../options.ts'
import { type Encoder, eachOf, type SentEntry } from './encoder.ts'
import { type Entry, integrityOf, listOf, objectOf, stringOf, without } from './ocsf-parts.ts'

/** Class, activity, and what the class needs beside what every event has. */
interface Told {
  readonly class_uid: number
  readonly class_name: string
  readonly category_uid: number
  readonly category_name: string
  readonly activity_id: number
  readonly activity_name: string
  readonly more: Readonly<Record<string, unknown>>
  readonly profiles?: readonly string[]
}

const API = { class_uid: 6003, class_name: 'API Activity', category_uid: 6, category_name: 'Application Activity' }
const SESSION = {
  class_uid: 3003,
  class_name: 'Authorize Session',
  category_uid: 3,
  category_name: 'Identity & Access Management',
}
const FINDING = { class_uid: 2004, class_name: 'Detection Finding', category_uid: 2, category_name: 'Findings' }
const SEVERITIES = ['Unknown', 'Informational', 'Low', 'Medium', 'High', 'Critical', 'Fatal']
const GRANTS = new Set(['session-created', 'session-delegated', 'session-extended'])

/**
 * OCSF 1.9.0, one event a line. Calls and refusals are API Activity (6003), sessions that begin or get more time are
 * Authorize Session (3003), signals are Detection Finding (2004); every other entry is API Activity of the haldir
 * itself, so that no link of the chain is missing. The `record_integrity` profile carries the trail's own chain: the
 * fingerprint is the entry's `hash`, which covers `raw_data`, and not the OCSF event that was made of it.
 */
export function ocsf(options: Readonly<Record<string, never>> = {}): Encoder {
  checkKeys(options, [], 'options of `ocsf`')
  return {
    name: 'ocsf',
    contentType: 'application/x-ndjson',
    encode(entries) {
      const { parts, order, refused } = eachOf(entries, (sent, at) => `${JSON.stringify(eventOf(sent, at))}\n`)
      return { body: parts.join(''), order, refused }
    },
  }
}

function eventOf(sent: SentEntry, at: number): object {
  const entry = sent.entry as Entry
  const type = stringOf(entry.type) ?? ''
  const { class_uid, activity_id, more, profiles = [], ...named } = told(entry, type, at)
  const severity = severityOf(entry, type)
  const agent = stringOf(entry.agent)
  const session = stringOf(entry.session)
  return without({
    time: at,
    class_uid,
    ...named,
    activity_id,
    type_uid: class_uid * 100 + activity_id,
    type_name: `${named.class_name}: ${named.activity_name}`,
    severity_id: severity,
    severity: SEVERITIES[severity],
    ...more,
    metadata: without({
      version: '1.9.0',
      product: { name: 'Haldir', vendor_name: 'Haldir' },
      uid: sent.id,
      sequence: entry.seq,
      log_name: stringOf(entry.haldir),
      original_time: stringOf(entry.at),
      tenant_uid: stringOf(entry.tenant),
      correlation_uid: stringOf(entry.call) ?? session,
      event_code: type,
      profiles: [...profiles, ...(agent ? ['ai_operation'] : []), 'record_integrity'],
    }),
    ai_agent: agent && without({ uid: agent, name: agent, instance_uid: session }),
    attestation_list: [integrityOf(entry)],
    ...rawOf(sent),
    unmapped: without({
      chain: listOf(entry.chain),
      held: listOf(entry.held),
      spent: listOf(entry.spent),
      rule: entry.rule,
      verdict: entry.verdict,
      policy_hash: entry.policyHash,
      enforced: entry.enforced,
    }),
  })
}

function told(entry: Entry, type: string, at: number): Told {
  const data = objectOf(entry.data)
  if (type === 'signal') return finding(entry, data, at)
  const scopes = listOf(data.scopes)?.filter((scope) => typeof scope === 'string') ?? []
  // The class needs one privilege at least.
  if (GRANTS.has(type) && scopes.length > 0) return grant(entry, data, scopes as string[], at)
  const call = type === 'intent' || type === 'outcome' || type === 'refusal'
  const session = stringOf(entry.session)
  const failed = type === 'refusal' || (type === 'outcome' && data.ended !== 'ok')
  return {
    ...API,
    // A tool call is no create, read, update or delete that anybody could tell by its name.
    activity_id: 99,
    activity_name: call ? 'Tool Call' : type,
    profiles: call ? ['security_control'] : [],
    more: without({
      message: `${type}${entry.tool ? ` of ${stringOf(entry.tool)}` : ''}`,
      actor: without({
        app_name: stringOf(entry.haldir) ?? 'haldir',
        user: entry.agent ? { name: entry.agent } : undefined,
        session: session && { uid: session, issuer: 'haldir' },
      }),
      api: without({
        operation: stringOf(entry.tool) ?? type,
        service: { name: stringOf(entry.haldir) ?? 'haldir' },
        request: entry.call ? { uid: entry.call } : undefined,
      }),
      src_endpoint: { svc_name: stringOf(entry.haldir) ?? 'haldir', instance_uid: stringOf(entry.writer) ?? '' },
      status_id: failed ? 2 : 1,
      status: failed ? 'Failure' : 'Success',
      status_code: stringOf(entry.code) ?? stringOf(data.ended),
      status_detail: stringOf(data.reason) ?? stringOf(data.error),
      duration: entry.durationMs,
      ...(call ? decided(type, entry) : {}),
    }),
  }
}

/** What Haldir did about the call, as the security control that it is. */
function decided(type: string, entry: Entry): object {
  const denied = type === 'refusal' || stringOf(entry.code) !== undefined
  const blocked = denied && entry.enforced !== false
  return blocked
    ? { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' }
    : { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' }
}

function grant(entry: Entry, data: Entry, privileges: readonly string[], at: number): Told {
  const agent = stringOf(entry.agent) ?? 'unknown'
  const ends = Date.parse(stringOf(data.expiresAt) ?? '')
  return {
    ...SESSION,
    activity_id: 1,
    activity_name: 'Assign Privileges',
    more: {
      message: `${stringOf(entry.type)} for ${agent}`,
      user: { name: agent, uid: agent },
      privileges,
      status_id: 1,
      status: 'Success',
      actor: { app_name: stringOf(entry.haldir) ?? 'haldir' },
      session: without({
        uid: stringOf(entry.session),
        issuer: 'haldir',
        created_time: entry.type === 'session-extended' ? undefined : at,
        expiration_time: Number.isNaN(ends) ? undefined : ends,
      }),
    },
  }
}

function finding(entry: Entry, data: Entry, at: number): Told {
  const kind = stringOf(data.signal) ?? stringOf(data.kind) ?? stringOf(data.name) ?? 'anomaly'
  return {
    ...FINDING,
    activity_id: 1,
    activity_name: 'Create',
    more: {
      message: `signal ${kind}`,
      is_alert: true,
      status_id: 1,
      status: 'New',
      finding_info: without({
        uid: stringOf(entry.id),
        title: `Haldir signal: ${kind}`,
        desc: stringOf(data.reason) ?? stringOf(data.why),
        created_time: at,
        types: [kind],
        product: { name: 'Haldir', vendor_name: 'Haldir' },
      }),
      evidences: [{ data: without({ agent: entry.agent, session: entry.session, tool: entry.tool, data }) }],
    },
  }
}

function severityOf(entry: Entry, type: string): number {
  if (type === 'signal') {
    const named = SEVERITIES.findIndex((name) => name.toLowerCase() === stringOf(objectOf(entry.data).severity))
    return named > 0 ? named : 3
  }
  return type === 'refusal' || type === 'gap' ? 2 : 1
}

/** The entry as it stands, without its hash: what the hash was made of. */
function rawOf({ line, entry }: SentEntry): object {
  const tail = `,"hash":"${stringOf(entry?.hash)}"}`
  return { raw_data: line.endsWith(tail) ? `${line.slice(0, -tail.length)}}` : line }
}
