import { ConfigError, usd } from '@haldir/core'
import { MockLanguageModelV4 } from 'ai/test'
import { describe, expect, it } from 'vitest'
import { meterModel } from './meter-model.ts'

const prices = { '*': { input: 1, output: 2 } }
const model = (modelId = 'one', provider = 'test') => new MockLanguageModelV4({ modelId, provider })

describe('`meterModel`', () => {
  it('answers a model with the same id, provider and supported urls', async () => {
    const inner = new MockLanguageModelV4({ modelId: 'one', provider: 'test', supportedUrls: { 'image/*': [/^x/] } })
    const metered = meterModel(inner, { prices })
    expect(metered).toMatchObject({ specificationVersion: 'v4', modelId: 'one', provider: 'test' })
    expect(await metered.supportedUrls).toEqual({ 'image/*': [/^x/] })
  })

  it.each([
    ['a name in place of a model', 'gpt-5', { prices }, 'model'],
    ['no model', undefined, { prices }, 'model'],
    ['a model without an id', {}, { prices }, 'model'],
    ['no options', model(), undefined, ''],
    ['no prices', model(), {}, 'prices'],
    ['a model without a price', model('two'), { prices: { one: prices['*'] } }, 'prices'],
    ['a misspelt option', model(), { prices, reserves: usd(1) }, 'reserves'],
    ['a session that is text', model(), { prices, session: 'token' }, 'session'],
    ['an amount that is none', model(), { prices, reserve: 5 }, 'reserve'],
    ['amounts that are none', model(), { prices, reserve: [usd(1), '5'] }, 'reserve'],
  ])('takes %s for a slip', (_, inner, options, path) => {
    let error: unknown
    try {
      meterModel(inner as never, options as never)
    } catch (thrown) {
      error = thrown
    }
    expect(ConfigError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ path })
  })

  it('is not put round itself: that would count everything twice', () => {
    const metered = meterModel(model(), { prices })
    expect(() => meterModel(metered, { prices })).toThrow(expect.objectContaining({ code: 'wrapped-twice' }))
  })
})
