/**
 * Whether a request is Slack's own, and new: the signature over its raw bytes, its time, and whether it came before.
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Why a request counts for nothing, and what its sender is told. */
export interface Refused {
  readonly status: 400 | 401 | 408 | 413 | 503
  readonly why: string
}

/** `again`: Slack repeats a request that it had from us no answer to, or none in time. It has been counted. */
export type Genuine = { readonly again: boolean } | Refused

interface Seen {
  readonly signature: string
  /** Seconds, as Slack wrote it. */
  readonly at: number
}

/** How far the clocks may be apart, in both directions. */
const TOLERANCE_MS = 300_000
/** Slack repeats a request three times within about six minutes, signed anew. */
const REMEMBER_MS = 2 * TOLERANCE_MS
const MOST = 10_000

export class Signatures {
  readonly #secret: string
  /** What has been counted, by the digest of its body: each click has a body of its own. */
  readonly #seen = new Map<string, Seen>()
  /** The latest time of a request that is not remembered any more. */
  #forgotten = 0

  constructor(secret: string) {
    this.#secret = secret
  }

  /** `now` in milliseconds. What is not refused is remembered at once, so that of two at a time one is new. */
  check(headers: Headers, body: Uint8Array, now: number): Genuine {
    const time = headers.get('x-slack-request-timestamp') ?? ''
    const signature = headers.get('x-slack-signature') ?? ''
    if (!/^[1-9]\d{0,11}$/.test(time) || !/^v0=[0-9a-f]{64}$/.test(signature)) {
      return { status: 401, why: 'the request is not signed as Slack signs' }
    }
    const at = Number(time)
    // Invariant: old and future requests are refused alike, and so is any when the clock answers with no number.
    const near = Math.abs(now - at * 1_000) <= TOLERANCE_MS
    if (!near) return { status: 401, why: 'the request is more than 300 seconds away from the clock here' }
    const hmac = createHmac('sha256', this.#secret).update(`v0:${time}:`).update(body).digest()
    if (!timingSafeEqual(hmac, Buffer.from(signature.slice(3), 'hex'))) {
      const hint = 'check the signing secret, and that nothing reads or parses the body before'
      return { status: 401, why: `the signature does not fit the body; ${hint}` }
    }
    return this.#count({ signature, at }, headers.has('x-slack-retry-num'), body, now)
  }

  #count(request: Seen, retry: boolean, body: Uint8Array, now: number): Genuine {
    for (const [key, { at }] of this.#seen) {
      if (now - at * 1_000 <= REMEMBER_MS) continue
      this.#seen.delete(key)
      this.#forgotten = Math.max(this.#forgotten, at)
    }
    const key = createHash('sha256').update(body).digest('base64')
    const seen = this.#seen.get(key)
    // Invariant: a request counts once. Slack's own repetition says so or is signed anew; anything else is a replay.
    if (seen) {
      if (retry || seen.signature !== request.signature) return { again: true }
      return { status: 401, why: 'the request has been received before' }
    }
    // The clock was set back meanwhile: nobody knows any more whether this one has been counted.
    if (request.at <= this.#forgotten) return { status: 401, why: 'the request is older than what is remembered' }
    // Only what Slack has signed gets here. To forget one early would let it be replayed.
    if (this.#seen.size >= MOST) return { status: 503, why: 'too many requests came in a short time' }
    this.#seen.set(key, request)
    return { again: false }
  }
}
