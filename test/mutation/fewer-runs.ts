/**
 * fast-check as mutants meet it: at most `FC_RUNS` runs of a property (100 if not given) and always the same ones, so
 * that a mutant's fate is not left to chance.
 */
import fc from 'fast-check'

export * from 'fast-check'

const most = Number(process.env.FC_RUNS ?? 100)

const assert: typeof fc.assert = ((property: never, given: fc.Parameters<unknown> = {}) =>
  fc.assert(property, { seed: 7, ...given, numRuns: Math.min(given.numRuns ?? 100, most) } as never)) as never

export default { ...fc, assert }
