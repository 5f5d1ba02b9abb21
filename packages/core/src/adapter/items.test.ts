import { expect, it } from 'vitest'
import { isGeneratorFunction, isIterable, lastItem, onlyItem, withoutItems } from './items.ts'

async function* numbers() {
  yield 1
  yield Promise.resolve(2)
}

it('tells an asynchronous generator function from what is none', () => {
  const object = { async *method() {} }
  expect([numbers, object.method, async function* () {}].map(isGeneratorFunction)).toEqual([true, true, true])
  const others = [async () => 1, function* () {}, numbers(), undefined, null, 'x', {}, numbers.bind(undefined)]
  // A bound one can be told only by its answer.
  expect(others.map(isGeneratorFunction)).toEqual([false, false, false, false, false, false, false, true])
})

it('tells what can be read item by item, asynchronously', () => {
  expect([numbers(), { [Symbol.asyncIterator]: () => numbers() }].map(isIterable)).toEqual([true, true])
  expect([[1], 'text', null, undefined, 7, Promise.resolve(numbers()), {}].some(isIterable)).toBe(false)
})

it('reads the last item, and makes one of an answer', async () => {
  expect(await lastItem(numbers())).toBe(2)
  expect(await lastItem((async function* () {})())).toBeUndefined()
  const failing = (async function* () {
    yield 1
    throw new Error('in between')
  })()
  await expect(lastItem(failing)).rejects.toThrow('in between')
  const items: unknown[] = []
  for await (const item of onlyItem(Promise.resolve('answer'))) items.push(item)
  expect(items).toEqual(['answer'])
  await expect(onlyItem(Promise.reject(new Error('no'))).next()).rejects.toThrow('no')
})

it('ends what nobody reads, and answers it as it is', async () => {
  const items = numbers()
  expect(withoutItems(items)).toBe(items)
  expect(await items.next()).toEqual({ done: true, value: undefined })
  const stubborn = {
    [Symbol.asyncIterator]: numbers,
    return: () => {
      throw new Error('not now')
    },
  }
  for (const answer of [stubborn, new ReadableStream(), [1], 'text', undefined])
    expect(withoutItems(answer)).toBe(answer)
})
