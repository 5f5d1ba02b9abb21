import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Redactor } from './redact.ts'
import { NOTHING, type Sought } from './sought.ts'

describe('sessions that are given the same secrets', () => {
  test('look for them by the same thing', () => {
    const one = NOTHING.with('a', 'secret-number-one').with('b', 'secret-number-two')
    const two = NOTHING.with('a', 'secret-number-one').with('b', 'secret-number-two')
    expect(two).toBe(one)
    expect(NOTHING.with('a', 'secret-number-two')).not.toBe(NOTHING.with('a', 'secret-number-one'))
    expect(NOTHING.with('x', 'secret-number-one')).not.toBe(NOTHING.with('a', 'secret-number-one'))
    expect(NOTHING.texts.size).toBe(0)
  })

  test('go ways of their own when one of them is given more', () => {
    const [one, two, three] = [new Redactor(), new Redactor(), new Redactor()]
    for (const redactor of [one, two]) redactor.add('a', 'secret-number-one')
    one.add('b', 'secret-number-two')
    three.add('c', 'secret-number-three')
    const text = 'secret-number-one secret-number-two secret-number-three'
    expect(one.text(text)).toBe('[redacted:a] [redacted:b] secret-number-three')
    expect(two.text(text)).toBe('[redacted:a] secret-number-two secret-number-three')
    expect(three.text(text)).toBe('secret-number-one secret-number-two [redacted:c]')
    two.add('b', 'secret-number-two')
    expect(two.text(text)).toBe(one.text(text))
  })

  test('keep nothing of it when they are gone', async () => {
    let kept: Sought | undefined = NOTHING.with('gone', 'a-secret-that-goes')
    const held = new WeakRef(kept)
    kept = undefined
    for (let round = 0; round < 10 && held.deref(); round++) {
      await new Promise((resolve) => setImmediate(resolve))
      ;(globalThis as { gc?: () => void }).gc?.()
    }
    expect(held.deref()).toBeUndefined()
    expect(NOTHING.with('gone', 'a-secret-that-goes').texts.find('a-secret-that-goes')).toHaveLength(1)
  })

  test('find what they would find alone, whatever came in which order, and whoever reads in between', () => {
    const secret = fc.stringMatching(/^[ab]{8,10}$/)
    const step = fc.record({ who: fc.nat(2), secret, text: fc.stringMatching(/^[ab]{0,30}$/) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const sharing = [new Redactor(), new Redactor(), new Redactor()]
        const given: string[][] = [[], [], []]
        for (const { who, secret, text } of steps) {
          sharing[who]?.add(secret, secret)
          if (!given[who]?.includes(secret)) given[who]?.push(secret)
          for (const [index, redactor] of sharing.entries()) {
            const held = given[index] as string[]
            // In an order that nobody else has, so that it shares with nobody.
            const alone = new Redactor()
            alone.add(`apart ${index}`, `not in any text ${Math.floor(index)}`)
            for (const one of held) alone.add(one, one)
            expect(redactor.text(text)).toBe(alone.text(text))
            expect(redactor.empty).toBe(held.length === 0)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
