import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { type Encoder, eachOf, textIn } from './encoder.ts'

/** The characters of RFC 3986, `%` only before two hexadecimal digits. */
const URI_REFERENCE = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2}){1,512}$/

export interface CloudEventsOptions {
  /** The `source` of every event, a URI reference; `/haldir/` and the name of the haldir unless given. */
  readonly source?: string
}

/**
 * CloudEvents 1.0.2 in batched content mode (JSON Event Format, section 4). The `id` is the entry's, the `type` is
 * `haldir.` and its type, and `data` is the entry, character for character as it stands in the trail.
 */
export function cloudEvents(options: CloudEventsOptions = {}): Encoder {
  checkKeys(options, ['source'], 'options of `cloudEvents`')
  const { source } = options
  if (source !== undefined && (typeof source !== 'string' || !URI_REFERENCE.test(source))) {
    throw new ConfigError('invalid-option', 'source', '`source` is a URI reference')
  }
  return {
    name: 'cloudEvents',
    contentType: 'application/cloudevents-batch+json; charset=utf-8',
    encode(entries) {
      const { parts, order, refused } = eachOf(entries, ({ id, line, entry }) => {
        const subject = textIn(entry, 'call') ?? textIn(entry, 'session')
        const event = {
          specversion: '1.0',
          id,
          source: source ?? `/haldir/${encodeURIComponent((textIn(entry, 'haldir') ?? '').toWellFormed())}`,
          type: `haldir.${textIn(entry, 'type')}`,
          time: textIn(entry, 'at'),
          ...(subject ? { subject } : {}),
          datacontenttype: 'application/json',
        }
        return `${JSON.stringify(event).slice(0, -1)},"data":${line}}`
      })
      return { body: `[${parts.join(',')}]`, order, refused }
    },
  }
}
