/** The demo checks its own story with assertions; here it runs as a user runs it. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { proves } from '../promises.ts'

it('goes as it promises', () => {
  proves('framework-agnostic')
  const main = new URL('../../examples/order-agent/main.ts', import.meta.url).pathname
  const args = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning', main]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
  expect(status, stdout + stderr).toBe(0)
  expect(stderr).toBe('')
})
