/** The option `checkpoints` of `createHaldir`: every part checked by name, with its default. */
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { isKeyName, type Signer, verifierFor } from './note.ts'
import type { Witness } from './witness.ts'

export interface CheckpointOptions {
  /** What signs them: `envSigner(…)`, `fileSigner(…)` of `@haldir/core/checkpoints`, or one of your own. */
  readonly signer: Signer
  /** A checkpoint after so many entries; 1,000 unless given. */
  readonly every?: number
  /** A checkpoint after so long, also when nothing has happened, so that silence can be proved; 1 minute unless given. */
  readonly interval?: Duration
  /** Who is shown every checkpoint: `httpWitness(…)`, `fileWitness(…)`. */
  readonly witnesses?: readonly Witness[]
}

export interface CheckedCheckpoints {
  readonly signer: Signer
  readonly every: number
  readonly intervalMs: number
  readonly witnesses: readonly Witness[]
}

/** Throws `ConfigError`, naming the option. */
export function checkCheckpoints(options: CheckpointOptions | undefined): CheckedCheckpoints | undefined {
  if (options === undefined) return undefined
  checkKeys(options, ['signer', 'every', 'interval', 'witnesses'], 'options of `checkpoints`', 'checkpoints')
  const { signer, every = 1_000, interval = '1m', witnesses = [] } = options
  const key = typeof signer?.sign === 'function' && isKeyName(signer.name) && verifierFor(signer.publicKey)
  if (!key || key.name !== signer.name) throw invalid('signer', 'is a signer, such as `envSigner` makes')
  if (!Number.isSafeInteger(every) || every < 1) throw invalid('every', 'is a whole number of entries, at least 1')
  if (!Array.isArray(witnesses)) throw invalid('witnesses', 'is a list of witnesses')
  for (const [index, witness] of witnesses.entries()) {
    if (typeof witness?.name !== 'string' || witness.name === '' || typeof witness.add !== 'function') {
      throw invalid(`witnesses.${index}`, 'is not a witness')
    }
    if (witnesses.findIndex(({ name }) => name === witness.name) !== index) {
      throw invalid(`witnesses.${index}`, 'has a `name` that no other witness has')
    }
  }
  return { signer, every, intervalMs: parseDuration(interval, 'checkpoints.interval'), witnesses }
}

/** What verifying knows of checkpoints that are signed here: the public key, and what witnesses have kept. */
export async function knownOf({ signer, witnesses }: CheckedCheckpoints): Promise<{ key: string; trusted: string[] }> {
  const kept = await Promise.all(witnesses.map(async (witness) => (await witness.kept?.()) ?? []))
  return { key: signer.publicKey, trusted: kept.flat() }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', `checkpoints.${path}`, `\`checkpoints.${path}\` ${what}`)
}
