/** One request: encoded, compressed, signed, sent where it may go, and what its answer means. */
import { promisify } from 'node:util'
import { gzip as zip } from 'node:zlib'
import { ask, background, type Clock } from '../../clock.ts'
import { PrivateAddress, type Transport } from '../../egress/transport.ts'
import { HaldirError, Unavailable } from '../../errors.ts'
import { type SigningSecret, signedHeaders } from '../../standard-webhooks.ts'
import {
  type Answer,
  type Encoded,
  type Encoder,
  type Judgement,
  judgeStatus,
  type RefusedEntry,
  sentEntry,
} from '../encoders/encoder.ts'
import { checkHeaders, type HeaderSource } from './headers.ts'
import type { Batch } from './queue.ts'

export interface PostParts {
  readonly url: URL
  readonly transport: Transport
  readonly encoder: Encoder
  readonly headers: HeaderSource
  readonly secrets: readonly SigningSecret[]
  /** Bodies of at least so many bytes are compressed. */
  readonly gzip: number
  readonly timeoutMs: number
  readonly clock: Clock
}

/** What became of a batch; places are those of its lines. */
export type Posted =
  | {
      readonly kind: 'taken'
      readonly refused: readonly RefusedEntry[]
      readonly again: readonly number[]
      readonly reduced: number
    }
  | { readonly kind: 'split'; readonly why: string }
  | { readonly kind: 'later'; readonly why: string; readonly afterMs: number | undefined }

const zipped = promisify(zip)
/** More than this of an answer is not read. */
const MOST_ANSWER = 4 * 1024 ** 2

export class Post {
  readonly #parts: PostParts
  /** Stops the requests under way. */
  readonly #stops = new Set<() => void>()

  constructor(parts: PostParts) {
    this.#parts = parts
  }

  /** Never rejects: whatever goes wrong, the batch is to be sent later. `withinMs`: less time than the usual. */
  async send(batch: Batch, withinMs: number = this.#parts.timeoutMs): Promise<Posted> {
    const { encoder, clock } = this.#parts
    try {
      const { body, order, refused = [], reduced = 0 } = encoded(encoder, batch, clock.now())
      const places = order ?? batch.lines.map((_, index) => index)
      if (places.length === 0) return { kind: 'taken', refused, again: [], reduced }
      if (places.length > 1 && Buffer.byteLength(body) > (encoder.most?.bytes ?? Number.POSITIVE_INFINITY)) {
        return { kind: 'split', why: 'the batch is larger than the receiver takes' }
      }
      const { answer, afterMs } = await this.#request(batch.id, body, Math.min(withinMs, this.#parts.timeoutMs))
      const judged = encoder.judge?.(answer, places.length) ?? judgeStatus(answer.status)
      return located(judged, answer.status, places, { refused, reduced, afterMs })
    } catch (error) {
      return { kind: 'later', why: reasonOf(error), afterMs: undefined }
    }
  }

  /** Gives up what is under way. */
  stop(): void {
    for (const stop of this.#stops) stop()
    this.#parts.transport.close()
  }

  async #request(
    id: string,
    body: string,
    timeoutMs: number,
  ): Promise<{ answer: Answer; afterMs: number | undefined }> {
    const { clock } = this.#parts
    const abort = new AbortController()
    const late = Promise.withResolvers<never>()
    late.promise.catch(() => {})
    const give = (why: string) => {
      // Whether or not what sends it listens, nobody waits any longer.
      late.reject(new Unavailable(why))
      abort.abort()
    }
    const stop = () => give('the sink was closed')
    this.#stops.add(stop)
    // Whoever waits for the answer keeps the process alive, not this.
    const cancel = background(clock, timeoutMs, () => give('the receiver did not answer in time'))
    try {
      return await Promise.race([this.#exchange(id, body, abort.signal), late.promise])
    } finally {
      cancel()
      this.#stops.delete(stop)
    }
  }

  async #exchange(id: string, body: string, signal: AbortSignal) {
    const { url, transport, encoder, secrets, clock, gzip, timeoutMs } = this.#parts
    const own = await ask(() => headersNow(this.#parts.headers), timeoutMs, clock, 'headers')
    const small = Buffer.byteLength(body) < gzip
    const headers = {
      ...encoder.headers,
      ...checkHeaders(own, 'headers'),
      'content-type': encoder.contentType,
      ...(small ? {} : { 'content-encoding': 'gzip' }),
      'webhook-id': id,
      // Over the body as it is when it has been decoded: that is what receivers check.
      ...(secrets.length > 0 ? signedHeaders(secrets, { id, body }, clock.now()) : {}),
    }
    const sent = small ? body : new Uint8Array(await zipped(body))
    const init = { method: 'POST', headers, body: sent, redirect: 'manual', signal } as const
    const response = await transport.send(url, init, transport.permits(url))
    const afterMs = waitIn(response.headers.get('retry-after'), clock.now())
    return { answer: { status: response.status, text: await textOf(response) }, afterMs }
  }
}

function encoded(encoder: Encoder, { lines }: Batch, now: number): Encoded {
  try {
    return encoder.encode(lines.map(sentEntry), now)
  } catch {
    throw new Unavailable('the encoder failed')
  }
}

function headersNow(source: HeaderSource) {
  return typeof source === 'function' ? source() : source
}

/** Of a judge of somebody's own: places that are none, or come twice, would have the wrong lines given up. */
function checkPlaces(
  { refused = [], again = [] }: { refused?: readonly RefusedEntry[]; again?: readonly number[] },
  count: number,
) {
  const named = [...refused.map(({ index }) => index), ...again]
  const sound = named.every((place) => Number.isInteger(place) && place >= 0 && place < count)
  if (!sound || new Set(named).size < named.length) throw new Unavailable('the encoder failed')
}

function located(
  judged: Judgement,
  status: number,
  places: readonly number[],
  { refused, reduced, afterMs }: { refused: readonly RefusedEntry[]; reduced: number; afterMs: number | undefined },
): Posted {
  if (judged.kind === 'taken') {
    checkPlaces(judged, places.length)
    const more = (judged.refused ?? []).map(({ index, why }) => ({ index: places[index] as number, why }))
    const again = (judged.again ?? []).map((index) => places[index] as number).sort((a, b) => a - b)
    return { kind: 'taken', refused: [...refused, ...more], again, reduced }
  }
  const redirect = status >= 300 && status < 400 ? ', and redirects are not followed' : ''
  const why = judged.why ?? `the receiver answered with status ${status}${redirect}`
  return judged.kind === 'split' ? { kind: 'split', why } : { kind: 'later', why, afterMs }
}

/** Read to its end, wanted or not: one that breaks off is no answer, and a body that nobody reads holds the connection. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    chunks.push(chunk as Uint8Array)
    bytes += (chunk as Uint8Array).length
    if (bytes > MOST_ANSWER) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, MOST_ANSWER)
}

/** How long a receiver wants to be left alone, in milliseconds (RFC 9110, section 10.2.3). */
function waitIn(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - now
  return ms > 0 ? ms : undefined
}

/** What was thrown may hold the request, and with it tokens: only what is ours, or its code, goes on. */
function reasonOf(error: unknown): string {
  if (error instanceof PrivateAddress) return 'the name of the receiver leads to a private address'
  if (HaldirError.isInstance(error)) return error.message
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  const found = cause?.code ?? code
  const known = typeof found === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(found)
  return `the receiver could not be reached${known ? `: ${found}` : ''}`
}
