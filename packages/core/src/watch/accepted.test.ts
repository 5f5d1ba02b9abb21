import { expect, it } from 'vitest'
import { Accepted } from './accepted.ts'
import { type Draft, GENESIS, NOBODY } from './chain.ts'

const draft: Draft = { type: 'outcome', session: NOBODY }

it('what a flush learns late of a writer that has ended says nothing of the next one', () => {
  const accepted = new Accepted('old')
  for (let seq = 0; seq < 5; seq++) accepted.lacks({ seq, draft, at: 0 })
  accepted.upTo('old', 3, 'head of old')
  expect(accepted).toMatchObject({ missing: 2, stand: { writer: 'old', entries: 3, head: 'head of old' } })
  expect(accepted.begin('new').map(({ seq }) => seq)).toEqual([3, 4])
  accepted.lacks({ seq: 0, draft, at: 0 })
  accepted.upTo('old', 5, 'head of old')
  expect(accepted).toMatchObject({ writer: 'new', entries: 0, head: GENESIS, missing: 1, stand: undefined })
  accepted.upTo('new', 1, 'head of new')
  expect(accepted).toMatchObject({ missing: 0, stand: { writer: 'new', entries: 1, head: 'head of new' } })
})

it('never goes back', () => {
  const accepted = new Accepted('w')
  accepted.upTo('w', 3, 'third')
  accepted.upTo('w', 2, 'second')
  expect(accepted.stand).toEqual({ writer: 'w', entries: 3, head: 'third' })
})
