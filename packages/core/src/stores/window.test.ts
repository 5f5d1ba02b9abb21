import { describe, expect, it } from 'vitest'
import { isWindow, rowOf } from './window.ts'

describe('the row a meter counts in', () => {
  const moment = Date.UTC(2026, 10, 3, 4, 5, 6)

  it('is the meter itself for a total, and one for each hour, day and month of UTC', () => {
    expect(rowOf('m', 'total', moment)).toBe('m')
    expect(rowOf('m', 'hour', moment)).toBe('m|2026-11-03T04')
    expect(rowOf('m', 'day', moment)).toBe('m|2026-11-03')
    expect(rowOf('m', 'month', moment)).toBe('m|2026-11')
  })

  it('knows its windows', () => {
    expect(['total', 'hour', 'day', 'month'].every(isWindow)).toBe(true)
    expect(['week', '', undefined, 'toString'].some(isWindow)).toBe(false)
  })
})
