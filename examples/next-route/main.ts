/** Drives the route as Next.js does, with real requests, in this process; prints what the browser gets to see. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from './after.ts'

const folder = mkdtempSync(join(tmpdir(), 'haldir-next-'))
process.env.HALDIR_DB = join(folder, 'haldir.db')
process.env.HALDIR_AUDIT = join(folder, 'audit')
const { POST } = await import('./route.ts')
const { haldir } = await import('./haldir.ts')

const ask = { messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'Refund my order A1.' }] }] }

try {
  await show('ann, who may spend $25', 'Bearer ann', ask)
  await show('bob, who may only read', 'Bearer bob', ask)
  await show('nobody', '', ask)
  await show('ann, with nonsense', 'Bearer ann', { messages: 'hello' })

  // What Next.js does in development when a file has changed: the module is loaded once more.
  const again: typeof import('./haldir.ts') = await import(`${'./haldir.ts'}?changed`)
  console.log('\nafter a hot reload: the same haldir', again.haldir === haldir)

  console.log('\nthe trail')
  for await (const { type, agent, tool, code, spent } of haldir.trail.query()) {
    const cost = spent.map(({ amount, unit }) => `${amount} ${unit}`)
    if (agent) console.log(' ', [type, tool, code, ...cost].filter(Boolean).join(' '))
  }
  console.log('trail ok', (await haldir.trail.verify()).ok)
} finally {
  await haldir.close()
  rmSync(folder, { recursive: true })
}

async function show(who: string, authorization: string, body: object): Promise<void> {
  const headers = { authorization, 'content-type': 'application/json' }
  const response = await POST(
    new Request('http://shop.test/api/chat', { method: 'POST', headers, body: JSON.stringify(body) }),
  )
  const text = await response.text()
  await finished()
  console.log(`\n${who}: ${response.status}`)
  if (!response.ok) return console.log(' ', text)
  // Server-sent events, one chunk each. What only begins and ends things is left out.
  for (const [, json = ''] of text.matchAll(/^data: (\{.*\})$/gm)) {
    const { type, toolCallId, output, errorText, delta } = JSON.parse(json) as Record<string, unknown>
    if (output !== undefined) console.log(' ', type, toolCallId, JSON.stringify(output))
    else if (errorText !== undefined) console.log(' ', type, toolCallId, errorText)
    else if (delta !== undefined) console.log(' ', type, JSON.stringify(delta))
  }
}
