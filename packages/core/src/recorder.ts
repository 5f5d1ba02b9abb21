/** What the entries about a call hold of its arguments, where its tool's `record` names some. */
import { disregard, isPromise, type MaybePromise } from './clock.ts'
import type { DigestKey } from './digest-key.ts'
import type { DigestKeys } from './digest-keys.ts'
import { ConfigError, Unavailable } from './errors.ts'
import type { Pass, Refusal } from './pass.ts'
import type { Recording } from './record-options.ts'
import { type Picked, pick, scalarText, valueAt } from './recorded-args.ts'
import { type Random, sealBytes } from './vault/cipher.ts'
import { FINGERPRINT_KEY, type KeptKeys, keyIdOf, SUBJECT_KEY } from './vault/kept-keys.ts'
import type { RecordedArgs } from './watch/privacy.ts'

export interface RecorderParts {
  /** The keys of fingerprints. */
  readonly keys: DigestKeys
  readonly kept: KeptKeys
  readonly random: Random
  /** A key of sealed values is not guarded by a wrapping key. */
  readonly unsealed: () => void
}

/** What will be recorded, before it is hashed and sealed. */
interface Plan {
  readonly tenant: string
  readonly call: string
  readonly picked: Picked
  /** The subject's id, where the call names one. */
  readonly subject: string | undefined
  /** What is sealed has the key of a subject. */
  readonly bySubject: boolean
}

export class Recorder {
  readonly #parts: RecorderParts

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  /**
   * For the intent. Answers at once where the keys are at hand. A key that can't be had refuses: what is to be on record
   * can't be left out because a store is down.
   */
  forIntent(pass: Pass): MaybePromise<RecordedArgs | Refusal | undefined> {
    const plan = this.#plan(pass, true)
    if (plan === undefined || 'code' in plan) return plan
    try {
      const done = this.#written(plan)
      return isPromise(done) ? done.then(undefined, (error) => unavailable(pass, error, plan)) : done
    } catch (error) {
      return unavailable(pass, error, plan)
    }
  }

  /**
   * For a refusal: nothing is sealed, for the keys of subjects are made in the store, and a call that is refused must
   * not make it grow. Never rejects.
   */
  async forRefusal(pass: Pass, code: string): Promise<RecordedArgs | undefined> {
    // Hostile arguments, or such as the tool does not take: nobody knows what stands where.
    if (code === 'invalid-arguments' || !pass.snapshot || !pass.session) return undefined
    const plan = this.#plan(pass, false)
    if (plan === undefined || 'code' in plan) return undefined
    try {
      // A store that does not answer is not waited for twice.
      const late = code === 'unavailable' && !this.#parts.keys.at(plan.tenant)
      return await this.#written(late ? withoutKey(plan) : plan)
    } catch (error) {
      pass.house.faults.note('record', error)
      return undefined
    }
  }

  #plan(pass: Pass, sealing: boolean): Plan | Refusal | undefined {
    const { tool, session, house, snapshot, belongings } = pass
    const { record } = tool
    if (!record || !belongings || session === house.nobody) return undefined
    const subject = subjectOf(pass, record)
    if (typeof subject === 'object') return sealing ? subject : undefined
    const { redactor } = belongings
    const clean = redactor.empty
      ? AS_IT_IS
      : { text: (text: string) => redactor.text(text), value: (value: unknown) => redactor.value(value) }
    const unsearched = pass.searched?.unscanned !== undefined
    const plain = pick(pass.masked?.args ?? snapshot.args, record.marks, clean, { plain: !unsearched, hashed: false })
    // Of what is hashed the names are not: one that a model has chosen may be what nobody should read.
    const name = unsearched ? () => '?' : pass.masked?.name
    const named = name ? { ...clean, name } : clean
    const { hashed, omitted } = pick(snapshot.args, record.marks, named, { plain: false, hashed: true })
    const picked: Picked = { ...plain, hashed, omitted: plain.omitted + omitted }
    const bySubject = record.subject !== undefined
    // Invariant: what belongs to a subject that nobody names could never be erased: it is not recorded.
    if (!sealing || (bySubject && subject === undefined)) {
      picked.omitted += picked.sealed.size
      picked.sealed.clear()
    }
    return { tenant: session.tenant, call: pass.id, picked, subject, bySubject }
  }

  #written(plan: Plan): MaybePromise<RecordedArgs | undefined> {
    const { tenant, picked, subject } = plan
    const named = picked.hashed.size > 0 || subject !== undefined
    const key = named ? this.#parts.keys.at(tenant) : undefined
    if (picked.sealed.size === 0 && (key || !named)) return written(plan, key)
    return this.#awaited(plan, named)
  }

  async #awaited(plan: Plan, named: boolean, again = false): Promise<RecordedArgs | undefined> {
    const { kept, keys, random, unsealed } = this.#parts
    const { tenant, picked, call } = plan
    const sealing = picked.sealed.size > 0
    // Invariant: what is sealed for a subject has its key where `erase` looks for it. By a fingerprint under a key that
    // another process has destroyed, nobody would find it.
    const key = named ? await (sealing ? keys.anew(tenant) : keys.of(tenant)) : undefined
    const recorded = written(plan, key)
    if (!sealing) return recorded
    const { subject } = recorded ?? {}
    const name = subjectKeyName(subject)
    const { id, key: sealKey, sealed: guarded, made } = await kept.of(tenant, name)
    // Invariant: no subject has a key that its id does not lead to. The tenant may have been erased since.
    if (made && key && !(await kept.versions(tenant, FINGERPRINT_KEY)).some((row) => keyIdOf(row) === key.id)) {
      await kept.destroy(tenant, name)
      if (again) throw new Unavailable('the keys of the tenant are being erased')
      return this.#awaited(plan, named, true)
    }
    if (!guarded) unsealed()
    const sealed: Record<string, string> = {}
    for (const [path, text] of picked.sealed) {
      const context = sealContext({ tenant, subject, key: id, path, call })
      sealed[path] = sealBytes(sealKey, Buffer.from(text, 'utf8'), context, random).toString('base64')
    }
    return { ...recorded, sealed, sealKey: id }
  }
}

const AS_IT_IS = { text: (text: string) => text, value: (value: unknown) => ({ value }) }

function written({ picked, subject }: Plan, key: DigestKey | undefined): RecordedArgs | undefined {
  const { shown, hashed, omitted } = picked
  const recorded: RecordedArgs = {
    ...(shown.size > 0 ? { shown: Object.fromEntries(shown) } : {}),
    ...(key && hashed.size > 0
      ? { fingerprints: Object.fromEntries([...hashed].map(([path, text]) => [path, fingerprintOf(key, text)])) }
      : {}),
    ...(key && subject !== undefined ? { subject: fingerprintOf(key, subject) } : {}),
    ...(key ? { fingerprintKey: key.id } : {}),
    ...(omitted > 0 ? { omitted } : {}),
  }
  return Object.keys(recorded).length > 0 || picked.sealed.size > 0 ? recorded : undefined
}

function withoutKey({ picked, ...plan }: Plan): Plan {
  const omitted = picked.omitted + picked.hashed.size
  return { ...plan, subject: undefined, picked: { ...picked, hashed: new Map(), omitted } }
}

/** HMAC-SHA-256 of a value's text; without its path, so that a known value is found wherever it stands. */
export function fingerprintOf(key: DigestKey, text: string): string {
  return key.digest('fingerprint', text)
}

/** Where the key of a subject is kept; its id is in no name. */
export function subjectKeyName(fingerprint: string | undefined): string {
  return fingerprint === undefined ? SUBJECT_KEY : `${SUBJECT_KEY}.${fingerprint}`
}

/** The additional data of a sealed value: moved to another path, call, subject or tenant it does not open. */
export function sealContext(bound: {
  readonly tenant: string
  readonly subject: string | undefined
  readonly key: string
  readonly path: string
  readonly call: string
}): Buffer {
  const { tenant, subject = null, key, path, call } = bound
  return Buffer.from(JSON.stringify(['haldir.sealed-value.v1', tenant, subject, key, path, call]))
}

/** Whose data the call holds; `undefined` when it does not say. */
function subjectOf({ house, tool, snapshot }: Pass, { subject }: Recording): string | undefined | Refusal {
  if (subject === undefined) return undefined
  let id: unknown
  try {
    id = typeof subject === 'function' ? subject(snapshot.args) : valueAt(snapshot.args, subject)
  } catch (error) {
    house.faults.note(`subject of ${tool.name}`, error)
    return { code: 'invalid-arguments', reason: 'whose data this call is about can not be told from its arguments' }
  }
  const text = scalarText(id)
  if (text !== undefined) return text === '' ? undefined : text
  // A path that leads to no scalar names nobody; a function that answers no id is a mistake of the developer's.
  if (id === undefined || id === null || typeof subject !== 'function') return undefined
  disregard(id)
  house.faults.note(
    `subject of ${tool.name}`,
    new ConfigError('invalid-option', 'record.subject', '`record.subject` answers an id'),
  )
  return { code: 'unavailable', reason: 'the tool did not say whose data this call is about' }
}

/** In shadow mode nothing is refused: the call is recorded without what could not be sealed. */
function unavailable(pass: Pass, error: unknown, { picked }: Plan): RecordedArgs | Refusal {
  pass.house.faults.note('record', error)
  if (pass.house.shadow)
    return { omitted: picked.shown.size + picked.hashed.size + picked.sealed.size + picked.omitted }
  return { code: 'unavailable', reason: 'the arguments could not be recorded as the tool says' }
}
