/** Loki's push API in JSON: what it takes, and the lines of a request that it does not. */
import type { Received, Reply } from './collector.ts'

export interface LokiLine {
  readonly at: bigint
  readonly line: string
  readonly metadata: Readonly<Record<string, string>>
}

export class LokiPush {
  /** By the labels of the stream, as JSON. */
  readonly streams = new Map<string, LokiLine[]>()
  /** Lines that are further behind the newest of their stream than this are refused. */
  readonly windowNs = 3_600_000_000_000n
  readonly #now: () => number
  readonly #oldestMs: number

  constructor(now: () => number, oldestMs: number = 7 * 86_400_000) {
    this.#now = now
    this.#oldestMs = oldestMs
  }

  handle = ({ path, headers, body }: Received): Reply => {
    if (path !== '/loki/api/v1/push') return { status: 404, body: '404 page not found' }
    if (!headers['content-type']?.startsWith('application/json')) return { status: 415 }
    let push: { streams: { stream: Record<string, string>; values: unknown[][] }[] }
    try {
      push = JSON.parse(body)
    } catch {
      return { status: 400, body: 'loghttp.PushRequest.Streams: readObjectStart: expect {' }
    }
    for (const { values } of push.streams) {
      for (const [at, line, metadata = {}] of values) {
        if (typeof at !== 'string' || !/^\d{19}$/.test(at))
          return { status: 400, body: 'Value is string, but can’t find closing' }
        if (typeof line !== 'string') return { status: 400, body: 'Value looks like Number/Boolean/None' }
        if (Object.values(metadata as object).some((value) => typeof value !== 'string')) return { status: 400 }
      }
    }
    let why = ''
    for (const { stream, values } of push.streams) {
      const labels = JSON.stringify(stream)
      if (Object.keys(stream).length === 0 || Object.keys(stream).length > 15) return { status: 400 }
      const lines = this.streams.get(labels) ?? []
      this.streams.set(labels, lines)
      for (const [text, line, metadata = {}] of values) {
        const at = BigInt(text as string)
        const newest =
          lines
            .map((one) => one.at)
            .sort((a, b) => Number(a - b))
            .at(-1) ?? 0n
        if (lines.some((one) => one.at === at && one.line === line)) continue
        if (at < BigInt(this.#now() - this.#oldestMs) * 1_000_000n) why = 'greater_than_max_sample_age'
        else if (at < newest - this.windowNs) why = 'entry too far behind'
        else lines.push({ at, line: line as string, metadata: metadata as Record<string, string> })
      }
    }
    // What could be taken is taken; the answer is of the rest.
    return why === '' ? { status: 204 } : { status: 400, body: why }
  }
}
