import { expect, it } from 'vitest'
import { Chain, NOBODY } from './chain.ts'
import { leafOf, Tree, toBase64 } from './merkle.ts'
import { createKeys, formatCheckpoint, type Signer, signerOf, signNote } from './note.ts'
import { checkConsistency, checkInclusion } from './proof.ts'

const KEYS = createKeys('a', () => new Uint8Array(32).fill(7))
const signer = signerOf(KEYS.signingKey) as Signer
const chain = new Chain('w', 'h')
const entry = chain.append({ type: 'gap', session: NOBODY }, 0).trimEnd()
const tree = new Tree()
tree.append(leafOf(chain.head))

/** A checkpoint of the one entry; the key may be led to sign what a notary would not. */
const note = (origin: string, keyName: string, text = '') =>
  signNote(
    text ||
      formatCheckpoint({
        origin,
        size: 1,
        root: toBase64(tree.root()),
        head: chain.head,
        time: '2026-01-01T00:00:00.000Z',
      }),
    signer,
    keyName,
  )
const proof = (checkpoint: string) => ({ entry, index: 0, size: 1, path: [], checkpoint })

it('takes a checkpoint of the writer’s own key, about the writer’s own chain', () => {
  expect(checkInclusion(proof(note('a/w', 'a/w')), KEYS.publicKey)).toMatchObject({ ok: true })
})

it.each([
  ['unsigned', 'a/other', 'a/w', ''],
  ['unsigned', 'a/w', 'a/other', ''],
  ['unsigned', 'a/w', 'a', ''],
  ['malformed', '', 'a/w', 'a/w\n1\n'],
  ['malformed', '', 'a/w', `a/w\n1\n${toBase64(tree.root())}\n`],
])('takes no other: %s', (problem, origin, keyName, text) => {
  expect(checkInclusion(proof(note(origin, keyName, text)), KEYS.publicKey)).toEqual({ ok: false, problem })
})

it('of consistency, both checkpoints are of one chain', () => {
  const [own, other] = [note('a/w', 'a/w'), note('a/x', 'a/x')]
  expect(checkConsistency({ older: own, newer: own, path: [] }, KEYS.publicKey).ok).toBe(true)
  expect(checkConsistency({ older: own, newer: other, path: [] }, KEYS.publicKey)).toEqual({
    ok: false,
    problem: 'unsigned',
  })
  const foreign = createKeys('b').publicKey
  expect(checkConsistency({ older: own, newer: own, path: [] }, foreign)).toEqual({ ok: false, problem: 'malformed' })
})
