/** What the tests of checkpoints stand on: a key, entries read as anyone could, and a witness that keeps the rules. */
import { generateKeyPairSync, hash, type KeyObject, sign, verify } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Entry } from '@haldir/core'
import { createSigningKey, envSigner, type Signer } from '@haldir/core/checkpoints'

export const KEYS: { readonly signingKey: string; readonly publicKey: string } = createSigningKey(
  'acme.example/haldir',
  () => new Uint8Array(32).fill(7),
)

export const signer: Signer = envSigner('KEY', { env: { KEY: KEYS.signingKey } })

const sha = (...parts: (Buffer | string)[]) =>
  hash('sha256', Buffer.concat(parts.map((part) => Buffer.from(part))), 'buffer')
export const leafOf = (entryHash: string): Buffer => sha(Buffer.of(0), Buffer.from(entryHash, 'hex'))
const nodeOf = (left: Buffer, right: Buffer) => sha(Buffer.of(1), left, right)

/** RFC 6962, 2.1, word for word. */
export function treeOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length < 2) return leaves[0] ?? sha('')
  let left = 1
  while (left * 2 < leaves.length) left *= 2
  return nodeOf(treeOf(leaves.slice(0, left)), treeOf(leaves.slice(left)))
}

export interface ReadNote {
  readonly text: string
  readonly origin: string
  readonly size: number
  readonly root: Buffer
  readonly rest: readonly string[]
  readonly lines: readonly { readonly name: string; readonly id: string; readonly signature: Buffer }[]
}

/** A signed note, taken apart with nothing of Haldir's own. */
export function readNote(note: string): ReadNote {
  const at = note.lastIndexOf('\n\n')
  const text = note.slice(0, at + 1)
  const [origin = '', size = '', root = '', ...rest] = text.trimEnd().split('\n')
  const lines = note
    .slice(at + 2)
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, name = '', encoded = ''] = line.split(' ')
      const bytes = Buffer.from(encoded, 'base64')
      return { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) }
    })
  return { text, origin, size: Number(size), root: Buffer.from(root, 'base64'), rest, lines }
}

/** Whether the key of `KEYS`, under the name of its writer's log, has signed this. */
export function isSigned({ text, origin, lines }: ReadNote): boolean {
  const raw = Buffer.from(KEYS.publicKey.split('+').slice(2).join('+'), 'base64')
  const id = sha(`${origin}\n`, raw).toString('hex', 0, 4)
  const key = { key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]) }
  return lines.some(
    (line) =>
      line.name === origin &&
      line.id === id &&
      verify(null, Buffer.from(text), { ...key, format: 'der', type: 'spki' }, line.signature),
  )
}

export const noteOf = (entry: Entry | undefined): string => entry?.data.note as string

/** The checkpoints among the entries of one chain, each checked against all that stands before it. */
export function checkedCheckpoints(entries: readonly Entry[]): ReadNote[] {
  return entries
    .filter(({ type }) => type === 'checkpoint')
    .map((entry) => {
      const read = readNote(noteOf(entry))
      const before = entries.slice(0, read.size)
      const whole =
        read.origin === `acme.example/haldir/${entry.writer}` &&
        read.size === entry.seq &&
        read.rest[0] === `head ${entry.prev}` &&
        before.at(-1)?.hash === entry.prev &&
        read.rest[1] === `time ${entry.at}` &&
        read.root.equals(treeOf(before.map(({ hash }) => leafOf(hash))))
      if (!whole || !isSigned(read)) throw new Error(`the checkpoint at ${entry.seq} is not what it must be`)
      return read
    })
}

/** How a witness can be broken. */
export type Trouble = 'down' | 'slow' | 'redirect' | 'garbage' | 'huge' | 'unsigned' | 'lost' | undefined

/** A witness that keeps the rules of C2SP tlog-witness, over real HTTP. It knows no key but those it is told. */
export class WitnessServer {
  readonly name = 'witness.example/w1'
  /** For each log, the largest tree it has signed. */
  readonly seen = new Map<string, { size: number; root: Buffer }>()
  readonly answers: number[] = []
  /** How often anybody has connected at all. */
  connections = 0
  /** The sizes that clients said it knows. */
  readonly olds: number[] = []
  trouble: Trouble
  known: (origin: string) => boolean = () => true
  trusts: (note: ReadNote) => boolean = isSigned
  readonly #key: KeyObject
  readonly #raw: Buffer
  readonly #server: Server

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    this.#key = privateKey
    this.#raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
    this.#server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        if (this.trouble === 'slow') return
        const { status, text = '', type = 'text/plain' } = this.#answer(request.method ?? '', request.url ?? '', body)
        this.answers.push(status)
        response.writeHead(status, { 'content-type': type, ...(status === 302 ? { location: '/elsewhere' } : {}) })
        // The witness has signed, and nobody hears of it.
        if (this.trouble === 'lost') response.destroy()
        else response.end(text)
      })
    })
  }

  async listen(): Promise<void> {
    this.#server.on('connection', () => this.connections++)
    await new Promise<void>((up) => this.#server.listen(0, '127.0.0.1', up))
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get vkey(): string {
    return `${this.name}+${this.#id().toString('hex')}+${Buffer.concat([Buffer.of(4), this.#raw]).toString('base64')}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((closed) => this.#server.close(closed))
  }

  #id(): Buffer {
    return sha(`${this.name}\n`, Buffer.of(4), this.#raw).subarray(0, 4)
  }

  #answer(method: string, url: string, body: string): { status: number; text?: string; type?: string } {
    if (this.trouble === 'down') return { status: 503 }
    if (this.trouble === 'redirect') return { status: 302 }
    if (this.trouble === 'garbage') return { status: 200, text: 'thank you\n' }
    if (this.trouble === 'huge') return { status: 200, text: 'x'.repeat(200_000) }
    if (method !== 'POST' || url !== '/log/add-checkpoint') return { status: 404 }
    const [, old = '', hashes = '', note = ''] =
      /^old (0|[1-9]\d*)\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.*)$/s.exec(body) ?? []
    if (note === '') return { status: 400 }
    const checkpoint = readNote(note)
    if (!this.known(checkpoint.origin)) return { status: 404 }
    if (!this.trusts(checkpoint)) return { status: 403 }
    const oldSize = Number(old)
    this.olds.push(oldSize)
    if (oldSize > checkpoint.size) return { status: 400 }
    const last = this.seen.get(checkpoint.origin) ?? { size: 0, root: treeOf([]) }
    if (oldSize !== last.size) return { status: 409, text: `${last.size}\n`, type: 'text/x.tlog.size' }
    const proof = hashes.split('\n').slice(0, -1)
    if (oldSize === checkpoint.size && !last.root.equals(checkpoint.root)) return { status: 409 }
    if (
      !isConsistent(
        last,
        checkpoint,
        proof.map((one) => Buffer.from(one, 'base64')),
      )
    )
      return { status: 422 }
    this.seen.set(checkpoint.origin, checkpoint)
    return { status: 200, text: this.#cosign(checkpoint.text) }
  }

  #cosign(text: string): string {
    const time = 1_767_225_600n
    const stamp = Buffer.alloc(8)
    stamp.writeBigUInt64BE(time)
    const signed = this.trouble === 'unsigned' ? `${text}more\n` : text
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${signed}`), this.#key)
    const own = `— ${this.name} ${Buffer.concat([this.#id(), stamp, signature]).toString('base64')}\n`
    // Another key of the witness, which its clients do not know.
    return `— ${this.name} ${Buffer.alloc(76, 1).toString('base64')}\n${own}`
  }
}

/**
 * A consistency proof, checked from the other end than Haldir does (RFC 6962, 2.1.2, by recursion): both roots are made
 * from the proof, from its end.
 */
function isConsistent(
  old: { size: number; root: Buffer },
  now: { size: number; root: Buffer },
  proof: Buffer[],
): boolean {
  if (old.size === 0 || old.size === now.size) return proof.length === 0
  const left = [...proof]
  const roots = (older: number, size: number, whole: boolean): [Buffer, Buffer] => {
    if (older === size) {
      const root = whole ? old.root : left.shift()
      if (!root) throw new RangeError('too short')
      return [root, root]
    }
    let middle = 1
    while (middle * 2 < size) middle *= 2
    const [before, after] = older <= middle ? roots(older, middle, whole) : roots(older - middle, size - middle, false)
    const other = left.shift()
    if (!other) throw new RangeError('too short')
    return older <= middle ? [before, nodeOf(after, other)] : [nodeOf(other, before), nodeOf(other, after)]
  }
  try {
    const [before, after] = roots(old.size, now.size, true)
    return left.length === 0 && before.equals(old.root) && after.equals(now.root)
  } catch {
    return false
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
