/**
 * Mutation testing of the three pillars, a room at a time: `npm run mutation -- watch`, see `test/mutation/rooms.ts`.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
import { ROOMS } from './test/mutation/rooms.ts'

const name = process.env.MUTATION_ROOM ?? 'gate'
const { mutate, tests } = ROOMS[name]

export default {
  mutate: [...mutate, '!**/*.test.ts'],
  testFiles: [...tests],
  plugins: ['@stryker-mutator/vitest-runner', './test/mutation/runner.ts'],
  testRunner: 'one-process',
  // For `--testRunner vitest`. `related` would look for a mutant's tests by imports, each time; the room has chosen them.
  vitest: { configFile: 'test/mutation/vitest.config.ts', pool: 'threads', related: false },
  testRunnerNodeArgs: ['--expose-gc', '--disable-warning=ExperimentalWarning', '--conditions=@haldir/source'],
  coverageAnalysis: 'perTest',
  // Every mutator is on, that of texts too: most sentences are asserted somewhere. The table at the end gives the score
  // without them beside it, for whoever finds an altered word in a reason to be noise.
  mutator: { excludedMutations: [] },
  // Mutants of what runs once, at import, are judged by every test of the room. `--ignoreStatic` leaves them out.
  ignoreStatic: false,
  concurrency: 1,
  // A busy machine is no endless loop: those are found by counting, not by the clock.
  timeoutMS: 10_000,
  // What has been found out is kept until code or tests change. Of static mutants nobody knows the tests, so one that has
  // survived is remembered as such: `--force` asks again.
  incremental: true,
  incrementalFile: `reports/mutation/${name}.incremental.json`,
  ignorePatterns: ['docs', 'examples', 'dist', '*.tsbuildinfo', 'test/bench', 'test/crash', 'test/evals'],
  tempDirName: '.stryker-tmp',
  // It would be rewritten with TypeScript's old API, which TypeScript 7 does not have; no test reads it.
  tsconfigFile: 'none.json',
  reporters: ['clear-text', 'json'],
  clearTextReporter: { reportTests: false, reportScoreTable: false, logTests: false, allowColor: false },
  jsonReporter: { fileName: `reports/mutation/${name}.json` },
  thresholds: { high: 90, low: 85, break: 80 },
}
