/** Datadog's log intake: limits of a request are refused, those of a log are cut, and what is too old is let fall. */
import type { Received, Reply } from './collector.ts'

export interface DatadogLog {
  readonly message: string
  readonly timestamp?: string
  readonly ddsource?: string
  readonly ddtags?: string
  readonly service?: string
  readonly hostname?: string
}

const MOST = { payload: 5 * 1000 ** 2, log: 1000 ** 2, logs: 1_000 }

export class DatadogIntake {
  readonly logs: DatadogLog[] = []
  truncated = 0
  tooOld = 0
  readonly #key: string
  readonly #now: () => number

  constructor(key: string, now: () => number) {
    this.#key = key
    this.#now = now
  }

  handle = ({ path, headers, body }: Received): Reply => {
    if (path !== '/api/v2/logs') return { status: 404 }
    if (headers['dd-api-key'] !== this.#key) return { status: 403, body: '{"errors":[{"title":"Forbidden"}]}' }
    if (Buffer.byteLength(body) > MOST.payload) return { status: 413 }
    let logs: DatadogLog[]
    try {
      logs = JSON.parse(body) as DatadogLog[]
    } catch {
      return { status: 400 }
    }
    if (!Array.isArray(logs) || logs.length > MOST.logs) return { status: 400 }
    for (const log of logs) {
      const at = log.timestamp === undefined ? this.#now() : Date.parse(log.timestamp)
      if (this.#now() - at > 18 * 3_600_000) this.tooOld++
      else if (Buffer.byteLength(JSON.stringify(log)) > MOST.log) {
        this.truncated++
        this.logs.push({ ...log, message: log.message.slice(0, MOST.log / 2) })
      } else this.logs.push(log)
    }
    return { status: 202, body: '{}' }
  }
}
