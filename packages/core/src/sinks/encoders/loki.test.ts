import { expect, it } from 'vitest'
import { sentEntry } from './encoder.ts'
import { loki } from './loki.ts'

it('says in which order the entries stand in its body, and refuses what is none', () => {
  const line = (id: string, ms: number, haldir: string) =>
    JSON.stringify({ id, at: new Date(Date.UTC(2026, 0, 1) + ms).toISOString(), haldir })
  const lines = [line('a', 5, 'x'), line('b', 1, 'y'), 'no entry', line('c', 1, 'x'), line('d', 5, 'x')]
  const { body, order, refused } = loki().encode(lines.map(sentEntry), 0)
  const { streams } = JSON.parse(body) as { streams: { values: [string, string][] }[] }
  expect(streams.flatMap(({ values }) => values.map(([, text]) => JSON.parse(text).id))).toEqual(['c', 'a', 'd', 'b'])
  expect(order).toEqual([3, 0, 4, 1])
  expect(refused).toEqual([{ index: 2, why: 'it is no entry' }])
})
