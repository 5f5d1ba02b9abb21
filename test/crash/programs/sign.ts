/** Works with checkpoints on until it is killed, several calls at a time; says which calls and checkpoints stand. */
import { createHaldir, currentCall, governed } from '@haldir/core'
import { envSigner, fileWitness } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { input, pause, say } from './speak.ts'

const { store, audit, notes, key } = input<{ store: string; audit: string; notes: string; key: string }>()

const haldir = createHaldir({
  store: sqliteStore(store),
  sinks: [fileSink(audit)],
  checkpoints: {
    signer: envSigner('KEY', { env: { KEY: key } }),
    every: 7,
    interval: '3ms',
    witnesses: [fileWitness(notes), { name: 'said', add: ({ note }) => void say(JSON.stringify({ note })) }],
  },
})
const session = await haldir.createSession({ agent: 'worker', scopes: ['work'] })
let calls = 0
const work = governed(
  async () => {
    await pause(++calls % 3)
    return currentCall().id
  },
  { name: 'work', scope: 'work' },
  { haldir, session },
)

say('ready')
await Promise.all(
  Array.from({ length: 8 }, async () => {
    for (;;) say(`done ${await work()}`)
  }),
)
