/** What entries hold of the arguments of calls, and how an auditor gets at it. */
import { HaldirError } from '../errors.ts'
import type { Entry } from './entry.ts'

/** `data.args` of an `intent` or a `refusal`: what `record` of the tool names, by its path. */
export interface RecordedArgs {
  /** Values as they are, long ones cut. */
  readonly shown?: Readonly<Record<string, unknown>>
  /** Keyed hashes of values. */
  readonly fingerprints?: Readonly<Record<string, string>>
  /** Ciphertexts: nonce, ciphertext and tag; base64. */
  readonly sealed?: Readonly<Record<string, string>>
  /** Fingerprint of whose data it is. */
  readonly subject?: string
  /** Id of the key of the fingerprints. */
  readonly fingerprintKey?: string
  /** Id of the key that opens what is sealed. */
  readonly sealKey?: string
  /** How many values were left out: too long, too many, or of no subject that their key could be for. */
  readonly omitted?: number
}

/** What can be told from a fingerprint; the same text, number or truth value has the same one, wherever it stands. */
export type Fingerprintable = string | number | bigint | boolean | Date | URL

export interface Revealed {
  /** The key was destroyed: nobody can read them any more. */
  readonly erased: boolean
  /** What was sealed, by its path; nothing, when it was erased or there was nothing. */
  readonly values: Readonly<Record<string, unknown>>
}

/** Whose data: a subject's, by the id that calls named; or, without one, all of a tenant. */
export interface ErasureOf {
  readonly tenant: string
  readonly subject?: string | number
}

export interface Erased {
  /** `false`: there was nothing to erase, and nothing is recorded. */
  readonly erased: boolean
  /** Ids of the keys that were destroyed. */
  readonly keys: readonly string[]
}

export interface TrailPrivacy {
  /**
   * What a value is recorded as where a tool fingerprints it: `query({ fingerprint })` finds the entries that have it,
   * those of a subject with this id as well. Throws `ConfigError` for what is no such value, `Unavailable` when store or
   * vault key do not answer.
   */
  fingerprint(tenant: string, value: Fingerprintable): Promise<string>
  /**
   * Opens what an entry holds sealed. Throws `Unavailable` when store or vault key do not answer, and `HaldirError` with
   * the code `tampered` when something sealed was changed or is not this entry's.
   */
  reveal(entry: Entry): Promise<Revealed>
  /**
   * Destroys the key that a subject's data is sealed by, in whichever entries, files and sinks it stands. The chain stays
   * as it is. Throws `Unavailable` when store, vault key or trail do not answer: then it has to be done again.
   */
  erase(of: ErasureOf): Promise<Erased>
}

/** A value in an entry can not be opened, and that is not because its key is gone. */
export function tampered(cause: unknown): HaldirError {
  return new HaldirError('tampered', 'a sealed value was changed, or is not of this entry', { cause })
}

/** What an entry holds of arguments; nothing, when that is not of this shape. */
export function recordedIn({ data }: Pick<Entry, 'data'>): RecordedArgs {
  const args = data?.args
  return typeof args === 'object' && args !== null ? (args as RecordedArgs) : {}
}

/** Whether an entry is about a value that has this fingerprint, or about the subject that has. */
export function hasFingerprint(entry: Pick<Entry, 'data'>, fingerprint: string): boolean {
  const { fingerprints, subject } = recordedIn(entry)
  if (subject === fingerprint || entry.data?.subject === fingerprint) return true
  return typeof fingerprints === 'object' && fingerprints !== null && Object.values(fingerprints).includes(fingerprint)
}
