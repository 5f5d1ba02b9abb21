/** What models cost: a table of prices, and what one answer costs by it. Exact integers, rounded up once. */
import { type Amount, amount, ConfigError, money } from '@haldir/core'
import { checkKeys } from '@haldir/core/adapter'

/** What a million tokens cost, as decimals with at most six places: `1.25` or `'1.25'`. */
export interface Price {
  readonly input: number | string
  readonly output: number | string
  /** Input that the provider had cached; as `input` unless given. */
  readonly cachedInput?: number | string
  /** Input that the provider puts into its cache; as `input` unless given. */
  readonly cacheWrite?: number | string
  /** Output that nobody sees; as `output` unless given. */
  readonly reasoning?: number | string
  /** `USD` unless given. */
  readonly currency?: string
}

/** Prices by the model's exact id, or `provider/id`; `*` is for every other model. */
export type Prices = Readonly<Record<string, Price>>

const KINDS = ['input', 'output', 'cachedInput', 'cacheWrite', 'reasoning'] as const

/** Micro-units for a million tokens of each kind. */
export type Rates = Readonly<Record<(typeof KINDS)[number], bigint>> & { readonly currency: string }

/** What a provider says of the tokens of one answer. Any part may be missing, or be nonsense. */
export interface Usage {
  readonly inputTokens?: Counted<'noCache' | 'cacheRead' | 'cacheWrite'> | undefined
  readonly outputTokens?: Counted<'text' | 'reasoning'> | undefined
}
type Counted<Piece extends string> = { readonly [K in Piece | 'total']?: number | undefined }

/** The same as models of AI SDK 5 say it. */
export interface PlainUsage {
  readonly inputTokens?: number | undefined
  readonly cachedInputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly reasoningTokens?: number | undefined
}

/** What an answer says of its tokens, by kind. */
export function usageOf(usage: Usage | PlainUsage | undefined): Usage | undefined {
  const { inputTokens: read, outputTokens: written } = usage ?? {}
  if (typeof read !== 'number' && typeof written !== 'number') return usage as Usage | undefined
  const { cachedInputTokens, reasoningTokens } = usage as PlainUsage
  return {
    inputTokens: { total: read as number | undefined, cacheRead: cachedInputTokens },
    outputTokens: { total: written as number | undefined, reasoning: reasoningTokens },
  }
}

/** The rates of one model. The whole table is checked: a slip in it must not wait for the model it is about. */
export function ratesFor(prices: unknown, provider: string, id: string): Rates {
  if (typeof prices !== 'object' || prices === null || Array.isArray(prices)) {
    throw new ConfigError('invalid-option', 'prices', '`prices` is a table of prices by model')
  }
  const table = new Map(Object.entries(prices).map(([model, price]) => [model, parsePrice(price, `prices.${model}`)]))
  // A provider calls itself `openai.responses` or `openai.chat`.
  const names = [`${provider}/${id}`, `${provider.split('.')[0]}/${id}`, id, '*']
  const name = names.find((one) => table.has(one))
  if (name === undefined)
    throw new ConfigError('invalid-option', 'prices', `\`prices\` has none for the model \`${id}\``)
  return table.get(name) as Rates
}

function parsePrice(price: unknown, path: string): Rates {
  checkKeys(price, [...KINDS, 'currency'], 'parts of a price', path)
  const { currency = 'USD', ...given } = price as Price
  const rate = (kind: (typeof KINDS)[number], otherwise?: bigint): bigint => {
    const value = given[kind]
    if (value === undefined && otherwise !== undefined) return otherwise
    return at(`${path}.${kind}`, () => money('USD', value as number | string).micros)
  }
  at(`${path}.currency`, () => money(currency, 0))
  const [input, output] = [rate('input'), rate('output')]
  return {
    currency,
    input,
    output,
    cachedInput: rate('cachedInput', input),
    cacheWrite: rate('cacheWrite', input),
    reasoning: rate('reasoning', output),
  }
}

/** An error about an amount says which price is wrong. */
function at<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error
    throw new ConfigError(error.code, path, `\`${path}\`: ${error.message}`)
  }
}

/** What an answer costs as far as its usage says, and whether it says everything. */
export function costOf(usage: Usage | undefined, rates: Rates): { amounts: readonly Amount[]; known: boolean } {
  const { inputTokens: read, outputTokens: written } = usage ?? {}
  const input = side(read?.total, [
    [read?.noCache, rates.input],
    [read?.cacheRead, rates.cachedInput],
    [read?.cacheWrite, rates.cacheWrite],
  ])
  const output = side(written?.total, [
    [written?.text, rates.output],
    [written?.reasoning, rates.reasoning],
  ])
  const amounts = amountsFor(rates, input.cost + output.cost, input.tokens + output.tokens)
  return { amounts, known: input.known && output.known }
}

/** The most that so many tokens cost: all of them of the dearest kind. */
export function mostFor(rates: Rates, input: number, output: number): readonly Amount[] {
  const [read, written] = [BigInt(input), BigInt(output)]
  const cost = read * dearest([rates.input, rates.cachedInput, rates.cacheWrite])
  return amountsFor(rates, cost + written * dearest([rates.output, rates.reasoning]), read + written)
}

/** The larger amount of each unit. */
export function larger(some: readonly Amount[], others: readonly Amount[]): readonly Amount[] {
  const larger = some.map((one) => others.find(({ unit, micros }) => unit === one.unit && micros > one.micros) ?? one)
  return [...larger, ...others.filter(({ unit }) => !some.some((one) => one.unit === unit))]
}

/** A count of tokens, if it is one. */
export function sound(count: unknown): number | undefined {
  return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : undefined
}

type Piece = readonly [count: number | undefined, rate: bigint]

/** One side of an answer. What no piece accounts for counts at the dearest price that it can have had. */
function side(reported: number | undefined, pieces: readonly Piece[]) {
  const total = sound(reported)
  const missing = pieces.filter(([count]) => sound(count) === undefined)
  let tokens = 0n
  let cost = 0n
  for (const [count, rate] of pieces) {
    const some = BigInt(sound(count) ?? 0)
    tokens += some
    cost += some * rate
  }
  const all = BigInt(total ?? 0)
  // Some providers leave what was cached out of the total: then all of the total is what the missing pieces are.
  const rest = all >= tokens ? all - tokens : missing.length > 0 ? all : 0n
  const rate = dearest((missing.length > 0 ? missing : pieces).map(([, rate]) => rate))
  return { tokens: tokens + rest, cost: cost + rest * rate, known: total !== undefined || missing.length === 0 }
}

function dearest(rates: readonly bigint[]): bigint {
  return rates.toSorted((a, b) => (a < b ? 1 : -1))[0] as bigint
}

const MILLION = 1_000_000n
const MOST = BigInt(Number.MAX_SAFE_INTEGER)

/** `cost` in millionths of a micro-unit, for rates are for a million tokens. */
function amountsFor({ currency }: Rates, cost: bigint, tokens: bigint): readonly Amount[] {
  return [ofMicros(currency, (cost + MILLION - 1n) / MILLION), ofMicros('tokens', tokens * MILLION)]
}

/** More than an amount can be counts as the most that one can be: no limit is as large. */
export function ofMicros(unit: string, micros: bigint): Amount {
  const bounded = micros > MOST ? MOST : micros
  return amount(unit, `${bounded / MILLION}.${String(bounded % MILLION).padStart(6, '0')}`)
}
