/** The static types of `meterModel`. Compiled, never run: what must not compile says so. */
import type { LanguageModelV2, LanguageModelV3, LanguageModelV4 } from '@ai-sdk/provider'
import { type MeteredModel, meterModel, type Price, type Prices } from '@haldir/ai-sdk'
import { amount, type Session, usd } from '@haldir/core'
import { generateText, type LanguageModel, streamText, ToolLoopAgent } from 'ai'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const two: LanguageModelV2
declare const three: LanguageModelV3
declare const model: LanguageModelV4
declare const any: LanguageModel
declare const session: Session

const price: Price = {
  input: 1.25,
  output: '10',
  cachedInput: 0.125,
  cacheWrite: '1.5',
  reasoning: 10,
  currency: 'EUR',
}
const prices: Prices = { 'gpt-5': price, '*': { input: '1', output: 2 } }

// What comes out speaks the same version of the specification as what goes in, and does wherever a model does.
const metered = meterModel(model, { prices })
same<typeof metered, LanguageModelV4>(true)
same<MeteredModel, LanguageModelV4>(true)
const older: [LanguageModelV2, LanguageModelV3] = [meterModel(two, { prices }), meterModel(three, { prices })]
const anyOf: LanguageModel[] = older
async function loops(): Promise<void> {
  await generateText({ model: metered, prompt: '' })
  streamText({ model: metered, prompt: '' })
  new ToolLoopAgent({ model: metered })
}

meterModel(model, { prices, session, reserve: usd(1) })
meterModel(model, { prices, reserve: [usd(1), amount('tokens', 5)] })
meterModel(model, {
  prices,
  reserve: ({ maxOutputTokens, prompt }) => {
    same<typeof maxOutputTokens, number | undefined>(true)
    return [usd(maxOutputTokens ?? prompt.length)]
  },
})

// @ts-expect-error prices are not optional
meterModel(model, {})
// @ts-expect-error a model has an input price
meterModel(model, { prices: { one: { output: 1 } } })
// @ts-expect-error a misspelt price
meterModel(model, { prices: { one: { input: 1, output: 1, cached: 1 } } })
// @ts-expect-error a misspelt option
meterModel(model, { prices, reserves: usd(1) })
// @ts-expect-error an amount, not a number
meterModel(model, { prices, reserve: 5 })
// @ts-expect-error `reserve` is synchronous
meterModel(model, { prices, reserve: async () => usd(1) })
// @ts-expect-error a session is a handle, not text
meterModel(model, { prices, session: 'some id' })
// @ts-expect-error a model object, not its name
meterModel('gpt-5', { prices })
// @ts-expect-error it may be a name
meterModel(any, { prices })

export { anyOf, loops, older }
