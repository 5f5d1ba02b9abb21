/**
 * What a user's program does, told in lines: those of `expected.txt`. It is given the modules, so that it is the same whether they were imported
 * or required.
 */
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

exports.story = async function story({ core, aiSdk, ai, sqlite, file, verify }) {
  const lines = []
  const folder = mkdtempSync(join(tmpdir(), 'haldir-story-'))
  const audit = join(folder, 'audit')
  const haldir = core.createHaldir({
    store: sqlite.sqliteStore(join(folder, 'haldir.db')),
    sinks: [file.fileSink(audit)],
    name: 'story',
  })
  const charge = core.governed(
    async ({ amount }) => ({ charged: amount }),
    { name: 'charge', scope: 'spend', cost: ({ amount }) => core.usd(amount) },
    { haldir },
  )
  const orders = ai.tool({
    inputSchema: ai.jsonSchema({ type: 'object', properties: { of: { type: 'string' } } }),
    execute: async () => '3 orders',
  })
  const { search } = aiSdk.governed({ search: orders }, { search: { scope: 'read' } }, { haldir })
  const refused = (error) => lines.push(`refused ${core.HaldirError.isInstance(error) ? error.code : 'by accident'}`)

  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['read', 'spend:50'], ttl: '1h' })
  await session.run(async () => {
    lines.push(`charged ${(await charge({ amount: 29.99 })).charged}`)
    await charge({ amount: 34.5 }).catch(refused)
    lines.push(`found ${await search.execute({ of: 'today' }, { toolCallId: 'one', messages: [] })}`)
    await session.revoke('done')
    await charge({ amount: 1 }).catch(refused)
  })
  await charge({ amount: 1 }).catch(refused)

  const counted = ({ ok, writers }) => `${ok ? 'ok' : 'broken'}, ${writers.map(({ entries }) => entries)} entries`
  lines.push(`trail ${counted(await haldir.trail.verify())}`)
  await haldir.close()
  lines.push(`files ${counted(await verify.verifyFiles(audit))}`)
  rmSync(folder, { recursive: true })
  return lines
}
