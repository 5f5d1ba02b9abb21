/** Makes one new store after another, each at a moment that all processes share. */
import { createInterface } from 'node:readline'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, say } from './speak.ts'

const { stores } = input<{ stores: readonly string[] }>()
const heard = createInterface({ input: process.stdin })
const lines = heard[Symbol.asyncIterator]()
for (const store of stores) {
  say('ready')
  await lines.next()
  await sqliteStore(store).close?.()
}
heard.close()
