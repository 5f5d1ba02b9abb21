/** Credentials that nobody put into the vault: in what a tool answers, and in what a model passes on. */
import { createHaldir, Denied, governed } from '@haldir/core'
import { secretlint } from '@haldir/core/detect'
import { memorySink } from '@haldir/core/sinks/memory'

// Not a real token; put together here so that nobody who scans this file takes it for one.
const token = ['ghp', 'aB3d'.repeat(9)].join('_')

const haldir = createHaldir({
  sinks: [memorySink()],
  detect: { credentials: await secretlint(), results: 'redact', arguments: 'refuse' },
})
const readFile = governed(async (_: { path: string }) => ({ lines: ['DEBUG=1', `GITHUB_TOKEN=${token}`] }), {
  name: 'read_file',
  scope: 'files',
})
const post = governed(async (_: { text: string }) => 'posted', { name: 'post', scope: 'chat' })

const session = await haldir.createSession({ agent: 'helper', scopes: ['files', 'chat'] })
await session.run(async () => {
  console.log(await readFile({ path: '.env' }))
  await post({ text: `use ${token}` }).catch((error) => console.log(Denied.isInstance(error) ? error.message : error))
})
for await (const { type, tool, rule, data } of haldir.trail.query({ session: session.id })) {
  if (data.detected) console.log(type, tool, rule ?? '', data.detected)
}
await haldir.close()
