import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { type Encoder, eachOf, type SentEntry } from './encoder.ts'

export interface DatadogOptions {
  readonly apiKey: string
  /** `haldir` unless given. */
  readonly service?: string
  /** Such as `env:prod,team:payments`. */
  readonly tags?: string
  readonly hostname?: string
}

/** Of one log. Datadog cuts off what is longer, and answers as if it had taken all of it. */
const MOST_LOG = 1_000_000
/** It drops logs that say they are older than 18 hours, and answers as if it had taken them. */
const OLDEST = 17.5 * 3_600_000
/** What is kept of an entry that is too large: who it is, and its place in the chain. */
const KEPT = ['v', 'id', 'writer', 'seq', 'at', 'type', 'haldir', 'tenant', 'agent', 'session', 'call', 'tool', 'code']

/**
 * Datadog's log intake, `https://http-intake.logs.<site>/api/v2/logs`. The `message` is the entry as it stands in the
 * trail. An entry that would be cut off is reduced to its ids, `prev` and `hash`, and counted as `reduced`. One that is
 * older than 17.5 hours is sent without a date of its own, so it stands there at the time it arrived.
 */
export function datadog(options: DatadogOptions): Encoder {
  checkKeys(options, ['apiKey', 'service', 'tags', 'hostname'], 'options of `datadog`')
  const { apiKey, service = 'haldir', tags, hostname } = options
  if (typeof apiKey !== 'string' || !/^[\x21-\x7e]{1,256}$/.test(apiKey)) {
    throw new ConfigError('invalid-option', 'apiKey', '`apiKey` is an API key of Datadog')
  }
  for (const [name, value] of Object.entries({ service, tags, hostname })) {
    if (value === undefined || (typeof value === 'string' && value !== '')) continue
    throw new ConfigError('invalid-option', name, `\`${name}\` is a text`)
  }
  return {
    name: 'datadog',
    contentType: 'application/json',
    headers: { 'dd-api-key': apiKey },
    most: { entries: 1_000, bytes: 5_000_000 },
    encode(entries, now) {
      let reduced = 0
      const { parts, order, refused } = eachOf(entries, (sent, at) => {
        const about = { ddsource: 'haldir', ddtags: tags, hostname, service }
        const dated = now - at > OLDEST ? about : { ...about, timestamp: new Date(at).toISOString() }
        const log = JSON.stringify({ ...dated, message: sent.line })
        if (Buffer.byteLength(log) <= MOST_LOG) return log
        reduced++
        return JSON.stringify({ ...dated, message: reducedTo(sent) })
      })
      return { body: `[${parts.join(',')}]`, order, refused, reduced }
    },
  }
}

function reducedTo({ line, entry = {} }: SentEntry): string {
  const kept = KEPT.filter((key) => {
    const value = entry[key]
    return value !== undefined && (typeof value !== 'string' || value.length <= 1_000)
  })
  const { prev, hash } = entry
  const whole = Buffer.byteLength(line)
  return JSON.stringify({ ...Object.fromEntries(kept.map((key) => [key, entry[key]])), reduced: { whole }, prev, hash })
}
