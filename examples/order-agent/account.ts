/** The account of a call: what came of it, put together from the trail, the budget and what the model reads. */
import assert from 'node:assert/strict'
import type { Amount, Entry } from '@haldir/core'
import type { ModelMessage } from 'ai'

/** What came of one tool call. */
export interface CallAccount {
  readonly tool: string
  /** `charge(order: 1001, amount: "29.99")` */
  readonly call: string
  readonly verdict: string
  /** Of a refusal. */
  readonly code: string | undefined
  readonly why: string
  /** In dollars, as `left`; empty when it cost nothing. */
  readonly cost: string
  readonly left: string
  /** What the model reads next. */
  readonly reads: string
}

export function accountOf(
  { toolName, input }: { readonly toolName: string; readonly input: unknown },
  entries: readonly Entry[],
  left: Amount,
  reads: string,
): CallAccount {
  const decided = entries.find(({ verdict }) => verdict !== undefined)
  const outcome = entries.find(({ type }) => type === 'outcome')
  const args = Object.entries(input as object).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return {
    tool: toolName,
    call: `${toolName}(${args.join(', ')})`,
    verdict: decided?.verdict ?? 'not in the trail',
    code: decided?.code,
    why: decided ? whyOf(decided) : '',
    cost: outcome ? dollars(outcome.spent) : '',
    left: dollars([left.toJSON()]),
    reads,
  }
}

function whyOf({ code, rule, held }: Entry): string {
  const decided = [code, rule].filter((part) => part !== undefined).join(', by the rule ')
  return held.length === 0 ? decided : `${decided}; ${dollars(held)} was set aside first`
}

/** Amounts of entries, as people write dollars: `$9.50`. */
export function dollars(amounts: readonly { readonly amount: string }[]): string {
  return amounts.map(({ amount }) => `$${Number(amount).toFixed(2)}`).join(' + ')
}

/** What the model reads of the call before: the last message, without the punctuation of JSON. */
export function readBy(messages: readonly ModelMessage[]): string {
  const part = messages.at(-1)?.content[0]
  assert(typeof part === 'object' && part.type === 'tool-result')
  const { output } = part
  if (output.type === 'json') return asText(output.value)
  assert(output.type === 'error-text' || output.type === 'text')
  return output.value
}

/** One line for each row of a list; the members of one object, one after the other. */
function asText(value: unknown): string {
  if (Array.isArray(value)) return value.map((row) => Object.values(row).join('  ')).join('\n')
  const members = Object.entries(value as object).map(([name, text]) => `${name}: ${text}`)
  return members.join(' · ')
}
