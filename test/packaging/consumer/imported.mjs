/** `node imported.mjs <subpath…>`: tells the story with imported modules, after importing every subpath. */

import * as aiSdk from '@haldir/ai-sdk'
import * as core from '@haldir/core'
import * as file from '@haldir/core/sinks/file'
import * as sqlite from '@haldir/core/stores/sqlite'
import * as verify from '@haldir/core/verify'
import * as ai from 'ai'
import { story } from './story.cjs'

for (const subpath of process.argv.slice(2)) {
  const found = await import(subpath, subpath.endsWith('.json') ? { with: { type: 'json' } } : undefined)
  if (Object.keys(found).length === 0) throw new Error(`there is nothing in ${subpath}`)
}
for (const line of await story({ core, aiSdk, ai, sqlite, file, verify })) console.log(line)
