import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { type Encoder, eachOf, textIn } from './encoder.ts'

export interface LokiOptions {
  /** Beside `service_name` and `haldir`. Few, with few values: each combination is a stream of its own. */
  readonly labels?: Readonly<Record<string, string>>
}

/** Has as many values as there are calls, so none of it is a label. */
const METADATA = ['id', 'writer', 'type', 'tenant', 'agent', 'session', 'call', 'tool', 'code']

/**
 * Loki's push API, `…/loki/api/v1/push`, in JSON. Times are nanoseconds as text (a number is refused), a stream's lines
 * are in the order of time, and what has many values is structured metadata (Loki 3, schema v13).
 */
export function loki(options: LokiOptions = {}): Encoder {
  checkKeys(options, ['labels'], 'options of `loki`')
  const { labels = {} } = options
  const isLabel = ([name, value]: [string, unknown]) =>
    /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && typeof value === 'string'
  if (typeof labels !== 'object' || labels === null || !Object.entries(labels).every(isLabel)) {
    throw new ConfigError('invalid-option', 'labels', '`labels` are names of letters, digits and `_`, with texts')
  }
  return {
    name: 'loki',
    contentType: 'application/json',
    encode(entries) {
      const streams = new Map<string, { at: number; value: readonly unknown[]; index: number }[]>()
      let index = 0
      const { refused, order } = eachOf(entries, ({ line, entry }, at) => {
        const metadata: Record<string, string> = {}
        for (const key of METADATA) {
          const value = textIn(entry, key)
          if (value) metadata[key] = value
        }
        const haldir = textIn(entry, 'haldir') ?? ''
        const lines = streams.get(haldir) ?? []
        streams.set(haldir, lines)
        lines.push({ at, value: [`${at}000000`, line, metadata], index: index++ })
        return ''
      })
      const sorted = [...streams].map(([haldir, lines]) => {
        // Stable: entries of one millisecond keep their order.
        const values = lines.toSorted((a, b) => a.at - b.at)
        return { haldir, values }
      })
      const body = {
        streams: sorted.map(({ haldir, values }) => ({
          stream: { service_name: 'haldir', haldir, ...labels },
          values: values.map(({ value }) => value),
        })),
      }
      const placed = sorted.flatMap(({ values }) => values.map((one) => order[one.index] as number))
      return { body: JSON.stringify(body), order: placed, refused }
    },
  }
}
