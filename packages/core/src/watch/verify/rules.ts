/** The options of a verification, checked. */
import { parseDuration } from '../../duration.ts'
import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import type { WriterRow } from '../../stores/store.ts'
import { verifierFor } from '../note.ts'
import type { VerifyOptions } from '../verification.ts'

export interface Rules {
  readonly keys: readonly string[]
  readonly trusted: readonly string[]
  readonly writers: readonly WriterRow[]
  readonly tree: boolean
  readonly heartbeatMs: number | undefined
  /** Whether a chain without a checkpoint is a problem: always, never, or when nobody knows of it. */
  readonly signed: boolean | 'unknown'
  readonly exact: boolean
  readonly progress: ((bytes: number) => void) | undefined
}

const KEYS = ['key', 'trusted', 'writers', 'tree', 'heartbeat', 'requireCheckpoints', 'exact', 'progress']

/** Throws `ConfigError`. */
export function rulesOf(options: VerifyOptions): Rules {
  checkKeys(options, KEYS, 'options of verifying')
  const { writers = [], tree = false, heartbeat, requireCheckpoints, exact = false, progress } = options
  const keys = textsOf(options.key, 'key')
  for (const key of keys) {
    if (!verifierFor(key, 'writer')) throw invalid('key', 'is a public key: `<name>+<id>+<base64>`')
  }
  for (const [path, value] of Object.entries({ tree, exact })) {
    if (typeof value !== 'boolean') throw invalid(path, 'is true or false')
  }
  if (![undefined, true, false, 'unknown'].includes(requireCheckpoints)) {
    throw invalid('requireCheckpoints', "is true, false or `'unknown'`")
  }
  if (!Array.isArray(writers)) throw invalid('writers', 'is a list of what a store knows of writers')
  return {
    keys,
    trusted: textsOf(options.trusted, 'trusted'),
    writers,
    tree,
    heartbeatMs: heartbeat === undefined ? undefined : parseDuration(heartbeat, 'heartbeat'),
    signed: requireCheckpoints ?? keys.length > 0,
    exact,
    progress,
  }
}

function textsOf(value: unknown, path: string): string[] {
  const texts = value === undefined ? [] : [value].flat()
  if (texts.every((text) => typeof text === 'string')) return texts
  throw invalid(path, 'is a text or a list of texts')
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
