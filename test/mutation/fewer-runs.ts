/**
 * fast-check as mutants meet it: of the runs that a property asks for one in `FC_SHARE` (50 unless given), a hundred at
 * the least; and always the same ones, so that a mutant's fate is not left to chance.
 */
import fc from 'fast-check'

export * from 'fast-check'

const share = Number(process.env.FC_SHARE ?? 50)
const runsOf = (asked = 100) => Math.min(asked, Math.max(100, Math.ceil(asked / share)))

const assert: typeof fc.assert = ((property: never, given: fc.Parameters<unknown> = {}) =>
  fc.assert(property, { seed: 7, ...given, numRuns: runsOf(given.numRuns) } as never)) as never

export default { ...fc, assert }
