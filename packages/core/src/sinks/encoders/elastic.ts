import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { type Answer, type Encoder, eachOf, type Judgement, type RefusedEntry, spliced, textIn } from './encoder.ts'

export interface ElasticOptions {
  /** A data stream or an index. */
  readonly index: string
}

/**
 * The bulk API of Elasticsearch and OpenSearch, `…/_bulk`. Every entry is a `create` under its own id, so one that is
 * sent again is answered with a conflict and stands there once. The document is the entry, with an `@timestamp`.
 */
export function elasticBulk(options: ElasticOptions): Encoder {
  checkKeys(options, ['index'], 'options of `elasticBulk`')
  const { index } = options
  if (typeof index !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,254}$/.test(index)) {
    throw new ConfigError('invalid-option', 'index', '`index` is the name of a data stream or an index')
  }
  return {
    name: 'elasticBulk',
    contentType: 'application/x-ndjson',
    // It says of each item what became of it, at length of one that failed, and all of that has to be read.
    most: { entries: 2_000 },
    encode(entries) {
      const { parts, order, refused } = eachOf(entries, ({ id, line, entry }) => {
        const action = { create: { _index: index, _id: id } }
        return `${JSON.stringify(action)}\n${spliced({ '@timestamp': textIn(entry, 'at') }, line)}\n`
      })
      return { body: parts.join(''), order, refused }
    },
    judge,
  }
}

/** A request that was understood is answered with 200, whatever became of its items: each has a status of its own. */
function judge({ status, text }: Answer, count: number): Judgement | undefined {
  if (status < 200 || status >= 300) return undefined
  const items = itemsIn(text)
  // Sending all of it again does no harm: what is there already is a conflict then.
  if (items?.length !== count) return { kind: 'later', why: 'it did not answer for each item' }
  const refused: RefusedEntry[] = []
  const again: number[] = []
  for (const [index, code] of items.entries()) {
    if ((code >= 200 && code < 300) || code === 409) continue
    if (code >= 400 && code < 500 && ![401, 403, 404, 408, 429].includes(code)) {
      refused.push({ index, why: `Elasticsearch refused it with status ${code}` })
    } else again.push(index)
  }
  return { kind: 'taken', refused, again }
}

function itemsIn(text: string): readonly number[] | undefined {
  try {
    const { items } = JSON.parse(text) as { items: { create?: { status?: unknown } }[] }
    const codes = items.map(({ create }) => create?.status)
    return codes.every((code) => Number.isInteger(code)) ? (codes as number[]) : undefined
  } catch {
    return undefined
  }
}
