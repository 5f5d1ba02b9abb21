/** Credentials that nobody has put into the vault: what becomes of a call whose arguments or result hold one. */
import { withhold } from './after.ts'
import type { Executed } from './governor.ts'
import type { Pass, Refusal } from './pass.ts'
import { type Detected, type Detection, FAILED, type Findings, search } from './vault/detection.ts'

/** What entries say of a value that was searched: where credentials stand, and whether some of it was not searched. */
export interface Searched {
  readonly detected?: readonly Detected[]
  readonly unscanned?: 'failed' | 'too-large'
}

/** How many places an entry names. */
const MOST = 16

/** With step 3: arguments can't be redacted, for what runs is what was judged. They are flagged, or refused. */
export async function searchArguments(pass: Pass): Promise<Refusal | undefined> {
  const { house, snapshot } = pass
  const findings = await searchFor(pass, snapshot.args)
  const { unscanned } = findings
  const detected = findings.detected.map((one) => shown(pass, one))
  pass.searched = {
    ...(detected.length > 0 ? { detected: detected.slice(0, MOST) } : {}),
    ...(unscanned ? { unscanned } : {}),
  }
  if (pass.tool.record && detected.length > 0) {
    pass.masked = {
      args: findings.redacted(snapshot.args),
      name: (text) => String(findings.redacted(text)),
    }
  }
  if (house.detection?.arguments !== 'refuse') return undefined
  const [first] = detected
  if (first) {
    const reason = `the arguments hold a credential (\`${first.kind}\`) at \`${first.at}\``
    return { code: 'invalid-arguments', reason, rule: `detect:${first.kind}` }
  }
  // Invariant: a detector that throws, hangs or answers nonsense refuses.
  return unscanned && { code: 'unavailable', reason: 'the arguments could not be searched for credentials' }
}

/** With step 9: what leaves the call. The yields of a stream have been searched by then, one by one. */
export async function searchResult(pass: Pass, ended: Executed): Promise<Executed> {
  return ended.status === 'denied' || ended.status === 'suspended' || (pass.streamed && ended.status === 'ran')
    ? ended
    : searchEnded(pass, ended)
}

/** One yield. A credential that is split over several is not found. */
export function searchYield(pass: Pass, value: unknown): Promise<Executed> {
  return searchEnded(pass, { status: 'ran', value })
}

async function searchEnded(
  pass: Pass,
  ended: Exclude<Executed, { status: 'denied' | 'suspended' }>,
): Promise<Executed> {
  const { house, notes } = pass
  const given = ended.status === 'ran' ? ended.value : ended.error
  const findings = await searchFor(pass, given)
  note(pass, findings)
  // What an error calls itself stands in the outcome.
  const named = findings.detected.some(({ at }) => at === 'name' || at === 'code')
  if (named && ended.status === 'failed') notes.error = 'Error'
  if (house.detection?.results !== 'redact' || house.shadow) return ended
  if (findings.unscanned) return withhold(pass, 'for credentials')
  const value = findings.redacted(given)
  if (value === given) return ended
  return ended.status === 'ran' ? { status: 'ran', value } : { status: 'failed', error: value }
}

async function searchFor({ house }: Pass, value: unknown): Promise<Findings> {
  const detection = house.detection as Detection
  try {
    return await search(value, detection, house.deadlineMs, house.clock)
  } catch (error) {
    house.faults.note(`detector ${detection.credentials.name}`, error)
    return FAILED
  }
}

/** For the outcome; the yields of a stream add to it. */
function note(pass: Pass, { detected, unscanned }: Findings): void {
  const { notes } = pass
  if (unscanned) notes.unscanned = unscanned
  if (detected.length === 0) return
  const noted = (notes.detected ?? []) as Detected[]
  notes.detected = noted
  for (const found of detected) {
    const one = shown(pass, found)
    if (noted.length < MOST && !noted.some(({ kind, at }) => kind === one.kind && at === one.at)) noted.push(one)
  }
}

/** A place is made of keys, and a revealed secret may stand in one. */
function shown({ belongings }: Pass, { kind, at }: Detected): Detected {
  return { kind, at: belongings?.redactor.text(at) ?? at }
}
