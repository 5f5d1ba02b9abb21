/**
 * Where a reader of the trail stands: how far it has come in each writer's chain. A place in time would not do: an entry
 * that another process adds later, with an earlier time, would be passed over.
 */
import { hash } from 'node:crypto'
import { ConfigError } from '../errors.ts'

/** For each writer, by the name in `nameOf`: the position of the first entry that has not been read. */
export type Positions = ReadonlyMap<string, number>

const VERSION = 1
const NAME_BYTES = 8

/** A writer's name in a cursor: the first 64 bits of its SHA-256. Ids are as long as people make them; this is short. */
export function nameOf(writer: string): string {
  return hash('sha256', writer, 'hex').slice(0, NAME_BYTES * 2)
}

/**
 * The text of a cursor: base64url over a version, then for each writer, in the order of their names, 8 bytes of name
 * and its position in base 128, the lowest seven bits first (as LEB128 has it).
 */
export function writeCursor(positions: Positions): string {
  const bytes: number[] = [VERSION]
  for (const [name, position] of [...positions].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (position === 0) continue
    bytes.push(...Buffer.from(name, 'hex'))
    let rest = position
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
    bytes.push(rest)
  }
  return Buffer.from(bytes).toString('base64url')
}

/** Throws `ConfigError` for what is no cursor. */
export function readCursor(text: string): Positions {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]+$/.test(text)) throw broken()
  const bytes = Buffer.from(text, 'base64url')
  if (bytes[0] !== VERSION) throw broken()
  const positions = new Map<string, number>()
  for (let index = 1; index < bytes.length; ) {
    const name = bytes.toString('hex', index, index + NAME_BYTES)
    index += NAME_BYTES
    let position = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[index++]
      if (byte === undefined) throw broken()
      position += (byte % 128) * factor
      if (byte < 128) break
    }
    if (!Number.isSafeInteger(position)) throw broken()
    positions.set(name, position)
  }
  return positions
}

function broken(): ConfigError {
  return new ConfigError('invalid-option', 'after', '`after` is not a cursor that `page` has answered')
}
