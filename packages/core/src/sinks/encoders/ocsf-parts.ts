/** Objects of OCSF that are made of parts of an entry. */

export type Entry = Readonly<Record<string, unknown>>

/** OCSF's `attestation`: the entry's place in the trail's own chain. */
export function integrityOf(entry: Entry): object {
  const writer = stringOf(entry.writer) ?? ''
  const seq = Number(entry.seq)
  return without({
    uid: stringOf(entry.id),
    chain_uid: writer,
    authority_uid: stringOf(entry.haldir),
    fingerprint: sha256(stringOf(entry.hash) ?? ''),
    // The first of a chain has none before it.
    prev_event: seq > 0 ? { uid: `${writer}:${seq - 1}`, fingerprint: sha256(stringOf(entry.prev) ?? '') } : undefined,
  })
}

function sha256(value: string): object {
  return { algorithm_id: 3, algorithm: 'SHA-256', value }
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function objectOf(value: unknown): Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : {}
}

export function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) && value.length > 0 ? value : undefined
}

/** A copy without what is not there. */
export function without(object: Entry): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null))
}
