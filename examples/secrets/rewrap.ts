// #region readme
import { randomBytes } from 'node:crypto'
import { createHaldir, envKey, type KeyProvider } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { kmsKey } from './kms.ts'

const open = (...keys: KeyProvider[]) =>
  createHaldir({ store: sqliteStore('haldir.db'), sinks: [fileSink('audit')], vault: { keys } })

const old = open(envKey('HALDIR_KEY'))
await old.vault.put('card_key', 'sk_live_4f9a7c21', { scope: 'payments' })
await old.vault.rotate('card_key', 'sk_live_2b60d8e3')
await old.close()

const key = kmsKey('haldir-2', randomBytes(32))
const both = open(key, envKey('HALDIR_KEY')) // the first wraps, all of them unwrap
for (let left = 1; left > 0; ) {
  const run = await both.vault.rewrap({ limit: 1 }) // what was cut short is taken up by the next run
  if (run.rewrapped === 0 && run.left > 0) throw new Error('a key is missing: see health().faults')
  left = run.left
  console.log(run)
}
await both.close()

const alone = open(key) // the old key is needed no more
const [secret] = await alone.vault.list()
console.log(secret?.versions.map(({ version, key }) => `version ${version} by ${key}`))
await alone.close()
// #endregion readme
