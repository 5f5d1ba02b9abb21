/**
 * One-use decision links: whoever holds one may say yes, or no, to exactly what it was made for.
 *
 * A token is derived, not drawn: HMAC-SHA256 over all that it is for, under a key made of the signing secret. So the same
 * event sent again, be it after a crash or by another process, carries the same links: a receiver that drops what it has
 * had already is left with links that work. Nothing of it is kept anywhere, and who takes a secret away takes its links
 * away. Who knows the secret could make links, and could as well sign a callback that decides.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SigningSecret } from '../standard-webhooks.ts'
import type { Approval } from './approver.ts'

export interface LinkPair {
  readonly approve: string
  readonly deny: string
}

/** What a link lets its holder say. */
export interface Link {
  readonly approve: boolean
  /** Whom it was made for, when approvers are named. */
  readonly by?: string
}

export interface LinkOptions {
  /** The channel: links of one are none of another. */
  readonly name: string
  /** Tokens are made with the first, and known by each. */
  readonly secrets: readonly SigningSecret[]
  /** Where the application can be reached, path included. */
  readonly base: string
  readonly approvers?: readonly string[] | undefined
}

export class DecisionLinks {
  readonly #keys: readonly Buffer[]
  readonly #options: LinkOptions

  constructor(options: LinkOptions) {
    this.#keys = options.secrets.map((secret) => secret.derive('haldir decision links'))
    this.#options = options
  }

  pair(approval: Approval, by?: string): LinkPair {
    const url = (approve: boolean) => {
      const token = tokenOf(this.#keys[0] as Buffer, this.#options.name, approval, { approve, ...(by && { by }) })
      return `${this.#options.base}/${encodeURIComponent(approval.id)}/${token.toString('base64url')}`
    }
    return { approve: url(true), deny: url(false) }
  }

  /** What a token lets its holder say of an approval as it is now; `undefined` when it was not made for that. */
  read(approval: Approval, token: string): Link | undefined {
    const given = Buffer.from(token, 'base64url')
    let found: Link | undefined
    for (const link of this.#all()) {
      for (const key of this.#keys) {
        const right = tokenOf(key, this.#options.name, approval, link)
        if (given.length === right.length && timingSafeEqual(given, right)) found = link
      }
    }
    return found
  }

  #all(): readonly Link[] {
    const { approvers } = this.#options
    const holders = approvers ? approvers.map((by) => ({ by })) : [{}]
    return holders.flatMap((holder) => [
      { ...holder, approve: true },
      { ...holder, approve: false },
    ])
  }
}

/** Invariant: a link is for one approval, what it asks and until when, one decision, one person. */
function tokenOf(key: Buffer, channel: string, { id, digest, expiresAt }: Approval, { approve, by = null }: LinkParts) {
  const bound = ['haldir.link.v1', channel, id, digest, expiresAt.getTime(), approve, by]
  return createHmac('sha256', key).update(JSON.stringify(bound)).digest()
}

type LinkParts = { readonly approve: boolean; readonly by?: string | null }
