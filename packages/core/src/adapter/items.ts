/** Tools that answer with items, and what a framework reads from them. */

export function isGeneratorFunction(fn: unknown): boolean {
  return Object.prototype.toString.call(fn) === '[object AsyncGeneratorFunction]'
}

export function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof (value as AsyncIterable<unknown> | null | undefined)?.[Symbol.asyncIterator] === 'function'
}

/** Reads them all; the last one stands for them. */
export async function lastItem(items: AsyncIterable<unknown>): Promise<unknown> {
  let last: unknown
  for await (const item of items) last = item
  return last
}

/** What was no iterable, as the only item. */
export async function* onlyItem(answer: unknown): AsyncGenerator<unknown> {
  yield await answer
}

/** For a framework that reads no items, the answer, ended: whoever read it later would run the tool outside of its call. */
export function withoutItems(answer: unknown): unknown {
  if (isIterable(answer)) {
    const ended = (async () => (answer as Partial<AsyncGenerator>).return?.(undefined))()
    ended.catch(() => undefined)
  }
  return answer
}
