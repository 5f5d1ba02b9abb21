/** Every part in a process of its own, one after the other; the last one sends the same messages once more. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

for (const part of ['ask', 'resume', 'decide', 'resume', 'resume']) {
  console.log(`$ node ${part}.ts`)
  const { status } = spawnSync(process.execPath, [...process.execArgv, join(import.meta.dirname, `${part}.ts`)], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}
