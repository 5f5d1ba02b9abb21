/** A process ends when its work is done, and not before: also with a sink that hangs. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'

const program = (end: string) => `
  import { createHaldir, governed } from '@haldir/core'
  import { memorySink } from '@haldir/core/sinks/memory'
  const hung = { name: 'copy', required: false, write: () => new Promise(() => {}) }
  const haldir = createHaldir({ deadline: '250ms', sinks: [memorySink(), hung] })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  const look = governed(async () => 'seen', { name: 'look', scope: 'read' })
  console.log(await session.run(() => look()), session.signal.aborted)
  ${end}
`

it.each([
  ['nothing more', '', 'seen false\n'],
  ['close', "await haldir.close(); console.log('closed')", 'seen false\nclosed\n'],
])('with %s', (_, end, printed) => {
  const args = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e']
  const cwd = new URL('../..', import.meta.url).pathname
  const { status, stdout } = spawnSync(process.execPath, [...args, program(end)], {
    cwd,
    encoding: 'utf8',
    timeout: 10_000,
  })
  expect({ status, stdout }).toEqual({ status: 0, stdout: printed })
})
