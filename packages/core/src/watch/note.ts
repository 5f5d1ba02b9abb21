/**
 * Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), with keys in the encoding of Go's
 * `golang.org/x/mod/sumdb/note`. What is checked comes from outside: the answer is a value, and nothing here throws on it.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { fromBase64 as rootOf } from './merkle.ts'

/** Signs checkpoints: a key in a file, in the environment, or in a module of hardware that signs at once. */
export interface Signer {
  /** Name of the key: a URL without its scheme, such as `acme.example/haldir`. */
  readonly name: string
  /** The public key, as those who verify are given it: `<name>+<id>+<base64>`. */
  readonly publicKey: string
  /** The Ed25519 signature of these bytes. Throws when it can't be made. */
  sign(message: Uint8Array): Uint8Array
}

/** What the text of a checkpoint says. */
export interface Checkpoint {
  /** Whose tree it is: the name of the key, a slash and the id of the writer. */
  readonly origin: string
  /** How many entries it covers. */
  readonly size: number
  /** Root of the Merkle tree over them, base64. */
  readonly root: string
  /** Hash of the last of them, hex. */
  readonly head: string
  /** When it was made, by haldir's clock: RFC 3339, UTC, milliseconds. */
  readonly time: string
}

/** A public key that signatures are checked with. */
export interface Verifier {
  readonly name: string
  /** The first 32 bits of the hash of name and key, hex: tells keys of one name apart. */
  readonly id: string
  /** Whether `signature` is this key's, over `text`. Never throws. */
  verify(text: string, signature: Uint8Array): boolean
}

/** A signature that a known key has made. */
export interface Signature {
  readonly name: string
  readonly id: string
  /** The signature line as it stands in the note, without its newline. */
  readonly line: string
  /** When a witness has made its cosignature, in seconds since the epoch. */
  readonly time?: number
}

export type OpenedNote =
  | { readonly text: string; readonly signatures: readonly Signature[]; readonly problem?: undefined }
  | { readonly problem: NoteProblem }

/** `unsigned`: no known key has signed it. `signature`: a known key is named, and has not signed this text. */
export type NoteProblem = 'malformed' | 'unsigned' | 'signature'

const ED25519 = 0x01
const COSIGNATURE = 0x04
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')
/** Narrower than the format: what is given as a name stands in files, URLs and messages. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._~:/-]{0,199}$/
const ANY_NAME = /^[^\p{White_Space}+]+$/u
const MOST_SIGNATURES = 100
const MOST_CHARACTERS = 1_000_000

/** The keys of a new signer, in Go's encoding. Throws `RangeError` for a name that no key can have. */
export function createKeys(name: string, random: (bytes: number) => Uint8Array = randomBytes): Keys {
  if (!isKeyName(name)) throw new RangeError('not the name of a key')
  const seed = Buffer.from(random(32))
  if (seed.length !== 32) throw new RangeError('not 32 random bytes')
  const raw = publicBytes(privateKey(seed))
  const id = keyId(name, ED25519, raw)
  const signingKey = `PRIVATE+KEY+${name}+${id}+${tagged(ED25519, seed)}`
  return { signingKey, publicKey: `${name}+${id}+${tagged(ED25519, raw)}` }
}

export interface Keys {
  /** To be kept secret: whoever has it can sign checkpoints. */
  readonly signingKey: string
  readonly publicKey: string
}

/** Names of keys: letters, digits and `._~:/-`, as in a URL without its scheme. */
export function isKeyName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name)
}

/** `undefined` for what is not a signing key. */
export function signerOf(signingKey: string): Signer | undefined {
  const [, name = '', id = '', text = ''] = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(signingKey) ?? []
  const seed = untagged(text, ED25519)
  if (!isKeyName(name) || !seed) return undefined
  const key = privateKey(seed)
  const raw = publicBytes(key)
  if (keyId(name, ED25519, raw) !== id) return undefined
  const publicKey = `${name}+${id}+${tagged(ED25519, raw)}`
  return { name, publicKey, sign: (message) => sign(null, message, key) }
}

/**
 * What signatures under a public key are checked with; `undefined` for what is not one. With a `writer`, the key of that
 * writer's tree: the same key under the name `<name>/<writer>`. Keys of witnesses (C2SP tlog-cosignature, Ed25519) fit too.
 */
export function verifierFor(publicKey: unknown, writer?: string): Verifier | undefined {
  if (typeof publicKey !== 'string') return undefined
  const [, name = '', id = '', text = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(publicKey) ?? []
  const cosigner = untagged(text, COSIGNATURE)
  const raw = cosigner ?? untagged(text, ED25519)
  if (!raw || !isAnyName(name) || keyId(name, cosigner ? COSIGNATURE : ED25519, raw) !== id) return undefined
  if (cosigner && writer !== undefined) return undefined
  const key = publicKeyOf(raw)
  if (!key) return undefined
  const whole = writer === undefined ? name : originOf(name, writer)
  return {
    name: whole,
    id: keyId(whole, cosigner ? COSIGNATURE : ED25519, raw),
    verify: (message, signature) => (cosigner ? cosigned(message, signature, key) : signed(message, signature, key)),
  }
}

/** Names the tree of one writer, and the key that signs it. */
export function originOf(name: string, writer: string): string {
  return `${name}/${writer}`
}

/** The text with a signature line of `signer`, whose key is named `keyName` in it. Throws when the signer does. */
export function signNote(text: string, signer: Signer, keyName: string = signer.name): string {
  // In base64, too, there may be a plus.
  const raw = untagged(/^[^+]+\+[0-9a-f]{8}\+(.+)$/.exec(signer.publicKey)?.[1] ?? '', ED25519)
  const signature = signer.sign(Buffer.from(text))
  if (!raw || !(signature instanceof Uint8Array) || signature.length !== 64) throw new RangeError('no signature')
  const id = Buffer.from(keyId(keyName, ED25519, raw), 'hex')
  return `${text}\n— ${keyName} ${Buffer.concat([id, signature]).toString('base64')}\n`
}

/**
 * Opens a signed note: its text, and who of `known` has signed it. One signature of a known key that does not hold
 * makes the whole note worthless; those of unknown keys are ignored.
 */
export function openNote(note: unknown, known: readonly Verifier[]): OpenedNote {
  const split = splitNote(note)
  if (!split) return { problem: 'malformed' }
  const signatures: Signature[] = []
  for (const line of split.lines) {
    const [, name = '', encoded = ''] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
    const bytes = strictBase64(encoded)
    if (!isAnyName(name) || !bytes || bytes.length < 5) return { problem: 'malformed' }
    const id = bytes.toString('hex', 0, 4)
    const verifier = known.find((one) => one.name === name && one.id === id)
    if (!verifier) continue
    const signature = bytes.subarray(4)
    if (!verifier.verify(split.text, signature)) return { problem: 'signature' }
    // Only the signature of a witness is longer: it begins with its time.
    const time = signature.length === 72 ? { time: Number(signature.readBigUInt64BE()) } : {}
    if (!signatures.some((one) => one.name === name && one.id === id)) signatures.push({ name, id, line, ...time })
  }
  return signatures.length === 0 ? { problem: 'unsigned' } : { text: split.text, signatures }
}

/** Text and signature lines; `undefined` for what is not a signed note. */
export function splitNote(note: unknown): { readonly text: string; readonly lines: readonly string[] } | undefined {
  if (typeof note !== 'string' || note.length > MOST_CHARACTERS || !note.isWellFormed()) return undefined
  // The control characters that the format forbids.
  if (/[\0-\x09\x0b-\x1f]/.test(note)) return undefined
  const at = note.lastIndexOf('\n\n')
  const lines = note.slice(at + 2).split('\n')
  if (at < 0 || lines.pop() !== '' || lines.length === 0 || lines.length > MOST_SIGNATURES) return undefined
  return { text: note.slice(0, at + 1), lines }
}

export function formatCheckpoint({ origin, size, root, head, time }: Checkpoint): string {
  return `${origin}\n${size}\n${root}\nhead ${head}\ntime ${time}\n`
}

const CHECKPOINT =
  /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/=]{44})\nhead ([0-9a-f]{64})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n$/

/** `undefined` for a text that is not exactly what `formatCheckpoint` makes. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [, origin = '', digits = '', root = '', head = '', time = ''] = CHECKPOINT.exec(text) ?? []
  const size = Number(digits)
  if (!isAnyName(origin) || !Number.isSafeInteger(size) || rootOf(root) === undefined || !isTime(time)) return undefined
  return { origin, size, root, head, time }
}

function isAnyName(name: string): boolean {
  return ANY_NAME.test(name)
}

function isTime(text: string): boolean {
  const ms = Date.parse(text)
  return Number.isFinite(ms) && new Date(ms).toISOString() === text
}

function signed(text: string, signature: Uint8Array, key: KeyObject): boolean {
  try {
    return signature.length === 64 && verify(null, Buffer.from(text), key, signature)
  } catch {
    return false
  }
}

/** C2SP tlog-cosignature: the time stands in front of the signature, and before the text that is signed. */
function cosigned(text: string, signature: Uint8Array, key: KeyObject): boolean {
  if (signature.length !== 72) return false
  const time = Buffer.from(signature).readBigUInt64BE()
  if (time >= 1n << 63n) return false
  return signed(`cosignature/v1\ntime ${time}\n${text}`, signature.subarray(8), key)
}

function keyId(name: string, type: number, raw: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), raw]), 'hex').slice(0, 8)
}

function tagged(type: number, bytes: Uint8Array): string {
  return Buffer.concat([Buffer.of(type), bytes]).toString('base64')
}

function untagged(text: string, type: number): Buffer | undefined {
  const bytes = strictBase64(text)
  return bytes?.length === 33 && bytes[0] === type ? bytes.subarray(1) : undefined
}

/** Bytes have one spelling only, so that nothing can be changed in a note without changing what it says. */
function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}

function privateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
}

function publicKeyOf(raw: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}

function publicBytes(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
}
