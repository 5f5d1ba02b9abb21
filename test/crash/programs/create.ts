/** Makes sessions of one tenant under caps, as fast as it can; says which were made. */
import type { Store } from '@haldir/core'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, say, told } from './speak.ts'

const { path, name, sessions, caps } = input<{
  path: string
  name: string
  sessions: number
  caps: Parameters<Store['session']['create']>[2]
}>()

const store = sqliteStore(path)
say('ready')
await told('go')
const made: string[] = []
for (let n = 0; n < sessions; n++) {
  const id = `${name}-${n}`
  const row = { id, tokenHash: id, tenant: 't', agent: `agent ${n % 5}`, scopes: [], attributes: {}, chain: [] }
  const answer = await store.session.create({ ...row, ttlMs: 3_600_000 }, [], caps)
  if ('id' in answer) made.push(id)
}
await store.close?.()
say(JSON.stringify(made))
process.exit(0)
