import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { type Answer, type Encoder, eachOf, type Judgement } from './encoder.ts'

export interface SplunkOptions {
  /** The token of an HTTP Event Collector. */
  readonly token: string
  readonly index?: string
  readonly source?: string
  /** `haldir:entry` unless given. */
  readonly sourcetype?: string
  readonly host?: string
}

/** Splunk's HTTP Event Collector, `…/services/collector/event`: objects one behind another, time in seconds. */
export function splunk(options: SplunkOptions): Encoder {
  checkKeys(options, ['token', 'index', 'source', 'sourcetype', 'host'], 'options of `splunk`')
  const { token, index, source, sourcetype = 'haldir:entry', host } = options
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,256}$/.test(token)) {
    throw new ConfigError('invalid-option', 'token', '`token` is the token of an HTTP Event Collector')
  }
  for (const [name, value] of Object.entries({ index, source, sourcetype, host })) {
    if (value === undefined || (typeof value === 'string' && value !== '')) continue
    throw new ConfigError('invalid-option', name, `\`${name}\` is a text`)
  }
  return {
    name: 'splunk',
    contentType: 'application/json',
    headers: { authorization: `Splunk ${token}` },
    encode(entries) {
      const { parts, order, refused } = eachOf(entries, ({ line }, at) => {
        const about = { time: at / 1_000, host, source, sourcetype, index }
        return `${JSON.stringify(about).slice(0, -1)},"event":${line}}`
      })
      return { body: parts.join(''), order, refused }
    },
    judge,
  }
}

/** What is wrong with one event: it has to be a JSON object whose `event` is there and not blank. */
const WRONG_EVENT = new Set([6, 12, 13, 15])

/** By the code in the body (Splunk's "Possible error codes"), which says more than the status. */
function judge({ status, text }: Answer, count: number): Judgement | undefined {
  const { code, 'invalid-event-number': wrong } = readAnswer(text)
  if (status >= 200 && status < 300) {
    // A proxy in front of it may answer for it; only its own word counts.
    return code === 0 ? { kind: 'taken' } : { kind: 'later', why: 'it did not answer as a collector does' }
  }
  if (status === 413) return { kind: 'split' }
  if (status !== 400 || !WRONG_EVENT.has(code as number)) return { kind: 'later', why: reasonOf(code) }
  if (!Number.isInteger(wrong) || (wrong as number) < 0 || (wrong as number) >= count) return { kind: 'split' }
  // It indexes events as it reads them: those before the wrong one are in, those behind it were not looked at.
  const again = Array.from({ length: count - (wrong as number) - 1 }, (_, index) => (wrong as number) + 1 + index)
  return { kind: 'taken', refused: [{ index: wrong as number, why: `Splunk refused it with code ${code}` }], again }
}

function readAnswer(text: string): { readonly code?: unknown; readonly 'invalid-event-number'?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {}
  } catch {
    return {}
  }
}

function reasonOf(code: unknown): string {
  return Number.isInteger(code) ? `Splunk answered with code ${code}` : 'it did not answer as a collector does'
}
