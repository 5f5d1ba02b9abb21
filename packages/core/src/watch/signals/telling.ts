/** A signal as a sentence for people. It names what was counted, never what was called with. */
import type { Signal } from './signal.ts'

export function sayOf(signal: Signal): string {
  return `${signal.agent}: ${WHAT[signal.signal](signal)}`
}

const SPAN: Readonly<Record<string, string>> = { one: 'at once', hour: 'within an hour', day: 'within a day' }
const WHAT: { readonly [S in Signal['signal']]: (signal: Signal) => string } = {
  'spend-spike': ({ kind = '', value, threshold, unit }) =>
    kind === 'drift'
      ? `the last week of spending in ${unit} is ${number(value)} times that of weeks ago, more than ${number(threshold)} times`
      : `${number(value)} ${unit} spent ${SPAN[kind]}, more than ${number(threshold)}`,
  'off-hours': ({ tool, kind }) =>
    `a call${of(tool)} at an hour when there ${kind === 'written' ? 'are to be none' : 'usually are none'}`,
  'repeated-denials': ({ code, value, kind, windowMs }) =>
    `${value} denials (${code}) within ${number(windowMs / 60_000)} minutes${kind === 'session' ? ' in one session' : ''}`,
  'first-use': ({ tool }) => `the first call${of(tool)}`,
  burst: ({ value, threshold }) => `${value} calls within a minute, more than ${number(threshold)}`,
  loop: ({ kind, value, tool }) => {
    if (kind === 'among') return `the same call${of(tool)} ${value} times among the last 32`
    return kind === '1'
      ? `the same call${of(tool)} ${value} times in a row`
      : `the same ${kind} calls in turn, ${value} times`
  },
}

function of(tool: string | undefined): string {
  return tool === undefined ? '' : ` of ${tool}`
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100)
}
