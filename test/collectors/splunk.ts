/** Splunk's HTTP Event Collector: its codes, and how far it gets in a batch that has something wrong in it. */
import type { Received, Reply } from './collector.ts'

export interface SplunkEvent {
  readonly time?: unknown
  readonly host?: string
  readonly source?: string
  readonly sourcetype?: string
  readonly index?: string
  readonly event: Record<string, unknown>
}

const answer = (status: number, code: number, text: string, more: object = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ text, code, ...more }),
})

export class SplunkHec {
  readonly indexed: SplunkEvent[] = []
  /** Ids of entries whose event counts as blank. */
  readonly blank = new Set<string>()
  readonly #token: string
  readonly #indexes: readonly string[]

  constructor(token: string, indexes: readonly string[] = ['main']) {
    this.#token = token
    this.#indexes = indexes
  }

  handle = ({ path, headers, body }: Received): Reply => {
    if (path !== '/services/collector/event') return answer(404, 404, 'The requested URL was not found on this server.')
    const { authorization } = headers
    if (authorization === undefined) return answer(401, 2, 'Token is required')
    if (!authorization.startsWith('Splunk ')) return answer(401, 3, 'Invalid authorization')
    if (authorization !== `Splunk ${this.#token}`) return answer(403, 4, 'Invalid token')
    if (body.trim() === '') return answer(400, 5, 'No data')
    const texts = objectsIn(body)
    for (const [number, text] of texts.entries()) {
      const wrong = { 'invalid-event-number': number }
      let event: SplunkEvent
      try {
        event = JSON.parse(text) as SplunkEvent
      } catch {
        return answer(400, 6, 'Invalid data format', wrong)
      }
      if (Array.isArray(event)) return answer(400, 6, 'Invalid data format', wrong)
      if (event.index !== undefined && !this.#indexes.includes(event.index)) {
        return answer(400, 7, 'Incorrect index', wrong)
      }
      if (event.event === undefined) return answer(400, 12, 'Event field is required', wrong)
      if (this.blank.has(event.event.id as string)) return answer(400, 13, 'Event field cannot be blank', wrong)
      this.indexed.push(event)
    }
    return answer(200, 0, 'Success')
  }
}

/** The values that stand one behind another; what is no JSON is one of its own. */
function objectsIn(body: string): string[] {
  const found: string[] = []
  let depth = 0
  let quoted = false
  let start = 0
  for (let at = 0; at < body.length; at++) {
    const char = body[at]
    if (quoted) {
      if (char === '\\') at++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') {
      depth--
      if (depth === 0) {
        found.push(body.slice(start, at + 1))
        start = at + 1
      }
    }
  }
  if (body.slice(start).trim() !== '') found.push(body.slice(start))
  return found
}
