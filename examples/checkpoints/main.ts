import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHaldir, governed } from '@haldir/core'
import {
  checkConsistency,
  checkInclusion,
  createSigningKey,
  envSigner,
  fileWitness,
  notesIn,
} from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { still } from './still.ts' // time, ids and keys that are the same every time, for this page alone

// Once. The signing key goes where secrets are kept, the public key to whoever is to check.
const { signingKey, publicKey } = createSigningKey('acme.example/haldir', still.random)
console.log(publicKey)
process.env.HALDIR_TRAIL_KEY = signingKey

const haldir = createHaldir({
  sinks: [fileSink('audit')],
  checkpoints: {
    signer: envSigner('HALDIR_TRAIL_KEY'),
    every: 4, // 1,000 unless given, and one every minute
    witnesses: [fileWitness('elsewhere.notes')],
  },
  ...still,
})
const pay = governed(async ({ order }: { order: string }) => `${order} is paid`, { name: 'pay', scope: 'pay' })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['pay'] })
for (const order of ['A1', 'A2', 'A3']) await session.run(() => pay({ order }))

// A signed head of the trail, as it stands there.
for await (const { seq, data } of haldir.trail.query({ type: 'checkpoint', limit: 1 })) console.log(seq, data.note)

// What was paid, proved to somebody who has the public key and nothing else.
for await (const { id } of haldir.trail.query({ type: 'intent', limit: 1 })) {
  const proof = await haldir.trail.prove(id)
  console.log(proof.text.replace(/extra .*/, 'extra (the entry, in base64)'))
  const checked = checkInclusion(proof.text, publicKey)
  console.log(checked.ok && JSON.parse(checked.entry).tool)
  console.log(checkInclusion({ ...proof, entry: proof.entry.replace('"pay"', '"get"') }, publicKey))
}
await haldir.close()

// Later: the trail has only been appended to since the first checkpoint that the witness was shown.
const notes = notesIn(readFileSync('elsewhere.notes', 'utf8'))
const [first = '', last = ''] = [notes.at(0), notes.at(-1)]
console.log(checkConsistency(await haldir.trail.proveConsistency(first), publicKey).ok)

// Somebody cuts the end off, where an entry ends: every hash that is left is right.
const file = `audit/${readdirSync('audit').find((name) => name.endsWith('.jsonl'))}`
writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 5).join('\n').concat('\n'))
await haldir.trail.proveConsistency(last).catch(({ code, message }) => console.log(`${code}: ${message}`))
