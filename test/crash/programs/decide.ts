/** Decides the approvals of a store, or runs calls with them, one after the other; says which it was the one to do. */
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, say, told } from './speak.ts'

const { path, name, does, ids } = input<{
  path: string
  name: string
  does: 'approved' | 'denied' | 'admit'
  ids: readonly string[]
}>()

const store = sqliteStore(path)
say('ready')
await told('go')
const done: string[] = []
for (const id of ids) {
  if (does === 'admit') {
    const charges = [{ meter: { key: 'usd', window: 'total' }, micros: 1n }] as const
    const consent = { id, binding: id }
    const admitted = await store.admit({ call: `${name} ${id}`, session: 's', charges, leaseMs: 3_600_000, consent })
    if (admitted.ok) done.push(id)
    else if (admitted.refused !== 'approval-used') throw new Error(`refused: ${admitted.refused}`)
  } else if (await store.approval.change(id, 1, { state: does, data: { by: name } })) done.push(id)
  say(`did ${id}`)
}
await store.close?.()
say(JSON.stringify(done))
process.exit(0)
