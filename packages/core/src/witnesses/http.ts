/** A witness over HTTP (C2SP tlog-witness): it checks that a chain is only appended to, and signs what it has seen. */
import { background, type Clock, systemClock } from '../clock.ts'
import { type Duration, parseDuration } from '../duration.ts'
import { namesPrivatePlace } from '../egress/address.ts'
import { type FetchFunction, type LookupNames, Transport } from '../egress/transport.ts'
import { ConfigError, Unavailable } from '../errors.ts'
import { parseHost } from '../hosts.ts'
import { checkKeys } from '../options.ts'
import { openNote, type Verifier, verifierFor } from '../watch/note.ts'
import type { Witness, WitnessAnswer, WitnessedCheckpoint } from '../watch/witness.ts'

export interface HttpWitnessOptions {
  /** Where it is: what `/add-checkpoint` is appended to. `https`, unless it is a private host that is named. */
  readonly url: string
  /** Its public key, `<name>+<id>+<base64>`; what it signs is checked then. Without it, nothing is kept of its answers. */
  readonly vkey?: string
  /** For `health()`; the host of `url` unless given. */
  readonly name?: string
  /** Places that are private, and meant: `witness.internal`, `127.0.0.1:8080`. All others are refused. */
  readonly privateHosts?: readonly string[]
  /** The addresses of a name; the machine's resolver unless given. */
  readonly lookup?: LookupNames
  /** How long it may take to answer; 5 seconds. */
  readonly timeout?: Duration
  /** Sends the requests instead of Haldir's own client. It must follow no redirect. */
  readonly fetch?: FetchFunction
  readonly clock?: Clock
}

const KEYS = ['url', 'vkey', 'name', 'privateHosts', 'lookup', 'timeout', 'fetch', 'clock'] as const
/** More than signatures and a size take. */
const MOST_BYTES = 65_536

/** Throws `ConfigError` that names the option; what the network does shows in `health()`. */
export function httpWitness(options: HttpWitnessOptions): Witness {
  const { url, key, name, transport, timeoutMs, clock } = checked(options)
  const anywhere = transport.permits(url)
  return {
    name,
    async add(checkpoint) {
      const abort = new AbortController()
      const cancel = background(clock, timeoutMs, () => abort.abort())
      try {
        const body = requestOf(checkpoint)
        const headers = { 'content-type': 'text/plain; charset=utf-8' }
        const init = { method: 'POST', headers, body, redirect: 'manual', signal: abort.signal } as const
        const answer = await transport.send(url, init, anywhere)
        const text = await textOf(answer)
        return answerOf(answer, text, checkpoint, key)
      } finally {
        cancel()
      }
    },
    close: () => transport.close(),
  }
}

function requestOf({ oldSize, proof, note }: WitnessedCheckpoint): string {
  return `old ${oldSize}\n${proof.map((hash) => `${hash}\n`).join('')}\n${note}`
}

function answerOf(
  { status, headers }: Response,
  text: string,
  { note }: WitnessedCheckpoint,
  key: Verifier | undefined,
): WitnessAnswer | undefined {
  if (status === 409 && headers.get('content-type')?.split(';')[0] === 'text/x.tlog.size') {
    if (/^(0|[1-9]\d{0,15})\n$/.test(text)) return { size: Number(text) }
  }
  if (status !== 200) throw new Unavailable(`the witness answered with status ${status}`)
  if (!key) return undefined
  // Signatures of keys nobody has named are ignored, as the format asks; what is kept was checked.
  const opened = openNote(note + text, [key])
  if (opened.problem !== undefined) throw new Unavailable('the witness did not sign the checkpoint')
  return { cosignatures: opened.signatures.map(({ line }) => line) }
}

async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MOST_BYTES) throw new Unavailable('the witness answered too much')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function checked(options: HttpWitnessOptions) {
  checkKeys(options, KEYS, 'options of `httpWitness`')
  const { vkey, privateHosts = [], lookup, timeout = '5s', fetch, clock = systemClock } = options
  const url = urlOf(options.url)
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch', 'is a function')
  if (lookup !== undefined && typeof lookup !== 'function') throw invalid('lookup', 'is a function')
  if (!Array.isArray(privateHosts)) throw invalid('privateHosts', 'is a list of hosts')
  const hosts = privateHosts.map((host, index) => {
    const parsed = parseHost(host)
    if (parsed === undefined) throw invalid(`privateHosts.${index}`, 'is a host such as `witness.internal:8443`')
    return parsed
  })
  const key = vkey === undefined ? undefined : verifierFor(vkey)
  if (vkey !== undefined && !key) throw invalid('vkey', 'is the public key of a witness')
  const timeoutMs = parseDuration(timeout, 'timeout')
  const transport = new Transport({ fetch, lookup, privateHosts: hosts, clock, deadlineMs: timeoutMs })
  const meant = transport.permits(url)
  if (url.protocol !== 'https:' && !meant) throw invalid('url', 'is `https`, unless `privateHosts` names its host')
  if (namesPrivatePlace(url) && !meant)
    throw invalid('url', 'leads to a private place that `privateHosts` does not name')
  const { name = url.host } = options
  if (typeof name !== 'string' || name === '') throw invalid('name', 'is a string')
  return { url, key, name, transport, timeoutMs, clock }
}

function urlOf(text: unknown): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  const sound = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  // What stands behind `?` or `#` would not be a prefix.
  if (!url || !sound || url.search !== '' || url.hash !== '') throw invalid('url', 'is the `https` URL of a witness')
  url.pathname = `${url.pathname.replace(/\/$/, '')}/add-checkpoint`
  return url
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
