import { Hostile, snapshot } from './call.ts'
import { type Duration, parseDuration } from './duration.ts'
import { ConfigError } from './errors.ts'
import { type Grant, parseGrant } from './gate/scopes.ts'
import { checkKeys } from './options.ts'

export interface SessionOptions {
  /** Which agent acts: 1 to 128 letters, digits, `_`, `.`, `:`, `@`, `/` or `-`. */
  readonly agent: string
  /** Whom it acts for; budgets, secrets and digests are kept apart by tenant. `default` unless given. */
  readonly tenant?: string
  readonly scopes: readonly string[]
  /** How long it lives; an hour unless given. */
  readonly ttl?: Duration
  /** Plain data about the session: a user, an order. Recorded nowhere but in the store. */
  readonly attributes?: Readonly<Record<string, unknown>>
}

const KEYS = ['agent', 'tenant', 'scopes', 'ttl', 'attributes'] as const
const NAME = /^[A-Za-z0-9_.:@/-]{1,128}$/

export interface CheckedSession {
  readonly agent: string
  readonly tenant: string
  readonly grant: Grant
  readonly ttlMs: number
  readonly attributes: Readonly<Record<string, unknown>>
}

/** Throws `ConfigError`, naming the field. */
export function checkSessionOptions(options: SessionOptions): CheckedSession {
  checkKeys(options, KEYS, 'options of `createSession`')
  const { agent, tenant = 'default', scopes, ttl = '1h', attributes = {} } = options
  if (typeof agent !== 'string' || !NAME.test(agent)) throw invalid('agent', NAMED)
  if (typeof tenant !== 'string' || !NAME.test(tenant)) throw invalid('tenant', NAMED)
  const taken = snapshot(attributes)
  // A store keeps attributes as JSON; what JSON has no word for would come back as something else.
  if (taken instanceof Hostile || !taken.text.startsWith('{') || taken.text.includes('{"$haldir":')) {
    throw invalid('attributes', 'is an object of JSON data')
  }
  // Whoever asks for something must not approve it: a name that is not understood would let them.
  const { requester = [] } = taken.args as { requester?: unknown }
  if (![requester].flat().every((one) => typeof one === 'string')) {
    throw invalid('attributes.requester', 'is a name, or a list of names')
  }
  return {
    agent,
    tenant,
    grant: parseGrant(scopes),
    ttlMs: parseDuration(ttl, 'ttl'),
    attributes: taken.args as Record<string, unknown>,
  }
}

const NAMED = 'is 1 to 128 letters, digits, `_`, `.`, `:`, `@`, `/` or `-`'

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
