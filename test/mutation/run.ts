/**
 * `npm run mutation -- watch gate approvals`, one room after another, all of them when none is named. Options of
 * Stryker follow, for a part of a room: `npm run mutation -- gate --mutate packages/core/src/gate/scopes.ts`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { ROOMS } from './rooms.ts'
import { printScores } from './score.ts'

const words = process.argv.slice(2)
const options = words.some((word) => word.startsWith('-'))
  ? words.splice(words.findIndex((word) => word.startsWith('-')))
  : []

for (const name of words.length > 0 ? words : Object.keys(ROOMS)) {
  if (!Object.hasOwn(ROOMS, name)) throw new Error(`there is no room \`${name}\`: ${Object.keys(ROOMS).join(', ')}`)
  const report = `reports/mutation/${name}.json`
  rmSync(report, { force: true })
  const { status } = spawnSync('stryker', ['run', ...options], {
    stdio: 'inherit',
    env: { ...process.env, MUTATION_ROOM: name },
  })
  if (existsSync(report)) printScores(report)
  if (status !== 0) process.exitCode = 1
}
