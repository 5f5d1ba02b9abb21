import { amount, ConfigError, money, usd } from '@haldir/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costOf, larger, mostFor, type Price, type Rates, ratesFor, type Usage, usageOf } from './prices.ts'

const table = {
  'gpt-5': { input: 1.25, output: '10' },
  'openai/gpt-5': { input: 2, output: 20 },
  'azure.chat/gpt-5': { input: 3, output: 30 },
}

/** The money and the tokens of an answer, as numbers of millionths and of tokens. */
function bill(usage: Usage | undefined, price: Price): { micros: bigint; tokens: bigint; known: boolean } {
  const { amounts, known } = costOf(usage, ratesFor({ m: price }, 'p', 'm'))
  const [cost, tokens] = amounts
  expect(tokens?.unit).toBe('tokens')
  return { micros: cost?.micros as bigint, tokens: (tokens?.micros as bigint) / 1_000_000n, known }
}

it('usage as models of AI SDK 5 say it is told by kind, as far as they tell', () => {
  const plain = { inputTokens: 10, cachedInputTokens: 4, outputTokens: 3, reasoningTokens: 1 }
  const price = { input: 2, cachedInput: 1, output: 10, reasoning: 20 }
  expect(usageOf(plain)).toMatchObject({
    inputTokens: { total: 10, cacheRead: 4 },
    outputTokens: { total: 3, reasoning: 1 },
  })
  // Four cached at 1 and six at 2; one of reasoning at 20 and two at 10.
  expect(bill(usageOf(plain), price)).toEqual({ micros: 56n, tokens: 13n, known: true })
  expect(bill(usageOf({ inputTokens: 10 }), price)).toMatchObject({ tokens: 10n, known: false })
  expect(bill(usageOf({ outputTokens: Number.NaN }), price)).toMatchObject({ tokens: 0n, known: false })
  const pieces: Usage = { inputTokens: { total: 1 }, outputTokens: { total: 2 } }
  for (const usage of [pieces, undefined, {}]) expect(usageOf(usage)).toBe(usage)
})

describe('the price of a model', () => {
  it('is found by provider and id, by what the provider is called before the dot, by id, or by `*`', () => {
    const input = (provider: string, id: string, prices: object = table) => ratesFor(prices, provider, id).input
    expect(input('azure.chat', 'gpt-5')).toBe(3_000_000n)
    expect(input('azure.responses', 'gpt-5')).toBe(1_250_000n)
    expect(input('openai', 'gpt-5')).toBe(2_000_000n)
    expect(input('openai.responses', 'gpt-5')).toBe(2_000_000n)
    expect(input('gateway', 'openai/gpt-5')).toBe(2_000_000n)
    const any = { ...table, '*': { input: '0.5', output: 1 } }
    expect(input('anthropic', 'claude', any)).toBe(500_000n)
    expect(input('anthropic', 'gpt-5', any)).toBe(1_250_000n)
  })

  it('is never guessed: a name that is only like it, or that every object has, finds none', () => {
    for (const id of ['gpt-5-mini', 'gpt', 'GPT-5', 'constructor', 'toString', '__proto__', '']) {
      expect(() => ratesFor(table, 'p', id), id).toThrow(
        expect.objectContaining({ code: 'invalid-option', path: 'prices' }),
      )
    }
  })

  it('falls back to the dearer kind where a kind has none of its own', () => {
    expect(ratesFor({ m: { input: 1, output: 2, currency: 'EUR' } }, 'p', 'm')).toEqual({
      currency: 'EUR',
      input: 1_000_000n,
      cachedInput: 1_000_000n,
      cacheWrite: 1_000_000n,
      output: 2_000_000n,
      reasoning: 2_000_000n,
    })
  })

  it.each([
    ['no table', undefined, 'prices'],
    ['a list', [], 'prices'],
    ['a price that is no object', { m: 5 }, 'prices.m'],
    ['a misspelt part', { m: { input: 1, output: 1, cacheInput: 1 } }, 'prices.m.cacheInput'],
    ['a missing part', { m: { input: 1 } }, 'prices.m.output'],
    ['a part that is null', { m: { input: 1, output: 1, reasoning: null } }, 'prices.m.reasoning'],
    ['a negative price', { m: { input: -1, output: 1 } }, 'prices.m.input'],
    ['no number', { m: { input: Number.NaN, output: 1 } }, 'prices.m.input'],
    ['seven decimals', { m: { input: '0.0000001', output: 1 } }, 'prices.m.input'],
    ['an exponent', { m: { input: '1e2', output: 1 } }, 'prices.m.input'],
    ['a currency that is none', { m: { input: 1, output: 1, currency: 'usd' } }, 'prices.m.currency'],
    ['a slip in a price of another model', { m: { input: 1, output: 1 }, n: { input: 1 } }, 'prices.n.output'],
  ])('%s is an error that says where', (_, prices, path) => {
    let error: unknown
    try {
      ratesFor(prices, 'p', 'm')
    } catch (thrown) {
      error = thrown
    }
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ path })
  })
})

describe('what an answer costs', () => {
  it('is rounded up, once', () => {
    const one = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
    expect(bill(one, { input: '0.000001', output: '0.000001' }).micros).toBe(1n)
    expect(bill(one, { input: '0.4', output: '0.6' }).micros).toBe(1n)
    expect(bill(one, { input: '0.4', output: '0.600001' }).micros).toBe(2n)
    expect(bill({ inputTokens: { total: 0 }, outputTokens: { total: 0 } }, { input: 1, output: 1 }).micros).toBe(0n)
  })

  it('counts every kind at its own price', () => {
    const usage = {
      inputTokens: { total: 111, noCache: 1, cacheRead: 10, cacheWrite: 100 },
      outputTokens: { total: 5, text: 2, reasoning: 3 },
    }
    const price = { input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 5_000, reasoning: 6_000 }
    expect(bill(usage, price)).toEqual({
      micros: 1_000n + 1_000n + 125_000n + 10_000n + 18_000n,
      tokens: 116n,
      known: true,
    })
  })

  const cached = { input: 10, cachedInput: 1, cacheWrite: 12, output: 50, reasoning: 60 }
  const reading = (inputTokens: object) => bill({ inputTokens, outputTokens: { total: 0 } }, cached)

  it('counts what no piece accounts for at the dearest price it can have had', () => {
    expect(reading({ total: 100 }).micros).toBe(1_200n)
    expect(reading({ total: 100, cacheRead: 80 }).micros).toBe(80n + 20n * 12n)
    expect(reading({ total: 100, cacheRead: 80, cacheWrite: 0 }).micros).toBe(80n + 20n * 10n)
    expect(reading({ total: 100, noCache: 0, cacheRead: 80, cacheWrite: 0 }).micros).toBe(80n + 20n * 12n)
    expect(bill({ inputTokens: { total: 0 }, outputTokens: { total: 10, text: 4 } }, cached).micros).toBe(200n + 360n)
  })

  it('counts pieces that are more than their total, and a total that leaves pieces out', () => {
    expect(reading({ total: 10, noCache: 100, cacheRead: 0, cacheWrite: 0 })).toMatchObject({
      micros: 1_000n,
      tokens: 100n,
    })
    expect(reading({ total: 10, cacheRead: 1_000 })).toMatchObject({ micros: 1_000n + 120n, tokens: 1_010n })
  })

  it('is known where totals or all pieces are, and else only as far as it goes', () => {
    expect(reading({ noCache: 1, cacheRead: 1, cacheWrite: 1 })).toMatchObject({ known: true, tokens: 3n })
    expect(reading({ noCache: 1, cacheRead: 1 })).toMatchObject({ known: false, micros: 11n })
    const none = { micros: 0n, tokens: 0n, known: false }
    for (const usage of [undefined, {}, { inputTokens: { total: 5 } }, { outputTokens: { total: 5 } }]) {
      expect(bill(usage, cached).known).toBe(false)
    }
    expect(bill(undefined, cached)).toEqual(none)
    for (const total of [-1, 0.5, Number.NaN, 2 ** 53, '5', 5n, null]) {
      expect(bill({ inputTokens: { total }, outputTokens: { total } } as never, cached)).toEqual(none)
    }
  })

  it('stops at the most that an amount can be', () => {
    const most = Number.MAX_SAFE_INTEGER
    const { amounts } = costOf(
      { inputTokens: { total: most }, outputTokens: { total: most } },
      ratesFor({ m: { input: '9007199254', output: '9007199254' } }, 'p', 'm'),
    )
    expect(amounts.map(({ micros }) => micros)).toEqual([BigInt(most), BigInt(most)])
  })

  it('equals what fractions come to, rounded up, for any prices and counts', () => {
    const rate = fc.bigInt(0n, 10n ** 12n)
    const count = fc.nat(10_000_000)
    const decimal = (micros: bigint) => `${micros / 1_000_000n}.${(micros % 1_000_000n).toString().padStart(6, '0')}`
    const given = fc.tuple(rate, rate, rate, rate, rate, count, count, count, count, count)
    fc.assert(
      fc.property(given, ([input, cachedInput, cacheWrite, output, reasoning, a, b, c, d, e]) => {
        const price = {
          input: decimal(input),
          cachedInput: decimal(cachedInput),
          cacheWrite: decimal(cacheWrite),
          output: decimal(output),
          reasoning: decimal(reasoning),
        }
        const usage = {
          inputTokens: { total: a + b + c, noCache: a, cacheRead: b, cacheWrite: c },
          outputTokens: { total: d + e, text: d, reasoning: e },
        }
        // Dollars as a fraction over 10^12: a price is in millionths for a million tokens.
        const rates = [input, cachedInput, cacheWrite, output, reasoning]
        const over = [a, b, c, d, e].reduce((sum, n, at) => sum + BigInt(n) * (rates[at] as bigint), 0n)
        const { micros, tokens } = bill(usage, price)
        const exact = { from: micros * 1_000_000n - over }
        const top = BigInt(Number.MAX_SAFE_INTEGER)
        if (micros !== top) expect(exact.from >= 0n && exact.from < 1_000_000n).toBe(true)
        expect(tokens).toBe(BigInt(a + b + c + d + e))
      }),
      { numRuns: 2_000 },
    )
  })

  it('never falls when a piece is left out, and never exceeds the estimate for as many tokens', () => {
    const price = fc.record({
      input: fc.nat(1_000),
      cachedInput: fc.nat(1_000),
      cacheWrite: fc.nat(1_000),
      output: fc.nat(1_000),
      reasoning: fc.nat(1_000),
    })
    const counts = fc.tuple(fc.nat(9_999), fc.nat(9_999), fc.nat(9_999), fc.nat(9_999), fc.nat(9_999))
    const left = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean())
    fc.assert(
      fc.property(price, counts, left, (price, [a, b, c, d, e], drop) => {
        const usage = (keep: readonly boolean[]) => ({
          inputTokens: {
            total: a + b + c,
            noCache: keep[0] ? a : undefined,
            cacheRead: keep[1] ? b : undefined,
            cacheWrite: keep[2] ? c : undefined,
          },
          outputTokens: { total: d + e, text: keep[3] ? d : undefined, reasoning: keep[4] ? e : undefined },
        })
        const whole = bill(usage([true, true, true, true, true]), price)
        const partial = bill(usage(drop.map((one) => !one)), price)
        const most = mostFor(ratesFor({ m: price }, 'p', 'm'), a + b + c, d + e)
        expect(partial.micros >= whole.micros).toBe(true)
        expect(partial).toMatchObject({ tokens: whole.tokens, known: true })
        expect(partial.micros <= (most[0]?.micros as bigint)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})

it('`larger` takes the larger amount of each unit', () => {
  const rates: Rates = ratesFor({ m: { input: 1_000_000, output: 2_000_000 } }, 'p', 'm')
  expect(mostFor(rates, 3, 4)).toEqual([usd(11), amount('tokens', 7)])
  const some = [usd(1), money('EUR', 5)]
  expect(larger(some, [usd(2), money('EUR', 4), amount('tokens', 1)])).toEqual([
    usd(2),
    money('EUR', 5),
    amount('tokens', 1),
  ])
})
