/** What Haldir signs and proves, given to implementations that know nothing of Haldir. */
import { spawnSync } from 'node:child_process'
import { createPublicKey, hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createHaldir, type Entry, governed } from '@haldir/core'
import { type InclusionProof, tlogProof } from '@haldir/core/checkpoints'
import { memorySink } from '@haldir/core/sinks/memory'
import { beforeAll, describe, expect, it } from 'vitest'
import { leafOf, toBase64, verifyConsistency, verifyInclusion } from '../../packages/core/src/watch/merkle.ts'
import { openNote, signNote, type Verifier, verifierFor } from '../../packages/core/src/watch/note.ts'
import { ProvingTree } from '../../packages/core/src/watch/proving-tree.ts'
import { entriesOf, proves } from '../promises.ts'
import { KEYS, noteOf, readNote, signer } from './checkpoint-scene.ts'

const root = new URL('../..', import.meta.url).pathname
const look = governed(async () => 'seen', { name: 'look', scope: 'read' })

/** Proofs for all trees up to this size. */
const SIZE = 65

let entries: readonly Entry[]
let hashes: readonly string[]
let proofs: (InclusionProof & { readonly text: string })[]

beforeAll(async () => {
  const sink = memorySink()
  const haldir = createHaldir({ sinks: [sink], checkpoints: { signer, every: 10 } })
  const session = await haldir.createSession({ agent: 'bot', scopes: ['read'] })
  for (let n = 0; n < 40; n++) await session.run(() => look())
  await haldir.close()
  entries = entriesOf(sink.lines)
  hashes = entries.map(({ hash }) => hash)
  const covered = entries.findLast(({ type }) => type === 'checkpoint')?.seq as number
  proofs = []
  for (const { id, seq } of entries.slice(0, covered)) {
    const size =
      seq % 2 === 0 ? covered : (entries.find(({ type, seq: at }) => type === 'checkpoint' && at > seq)?.seq ?? covered)
    proofs.push(await haldir.trail.prove(id, { size }))
  }
})

/** Both kinds of proofs of every tree up to `SIZE`, from the tree that grows with a mark at every leaf. */
function allProofs(): { inclusion: string[][][]; consistency: string[][][]; roots: string[] } {
  const tree = new ProvingTree()
  const [inclusion, consistency, roots] = [[] as string[][][], [] as string[][][], [] as string[]]
  for (let size = 1; size <= SIZE; size++) {
    tree.mark()
    tree.append(leafOf(hashes[size - 1] as string))
    const at = tree.copy()
    // A mark before and after each leaf.
    at.mark()
    roots.push(toBase64(at.root()))
    inclusion.push(Array.from({ length: size }, (_, index) => at.inclusion(index).map(toBase64)))
    consistency.push(Array.from({ length: size }, (_, older) => at.consistency(older + 1).map(toBase64)))
  }
  return { inclusion, consistency, roots }
}

describe('the reference implementation in Go', () => {
  // Where Debian's golang-golang-x-mod-dev puts it.
  const path = process.env.GOPATH ?? '/usr/share/gocode'
  const has = existsSync(join(path, 'src/golang.org/x/mod/sumdb/tlog')) && spawnSync('go', ['version']).status === 0
  if (!has) console.info('skipped: needs `go`, and golang.org/x/mod below GOPATH')

  it.skipIf(!has)('accepts every key, note, checkpoint and proof, and makes the same', { timeout: 120_000 }, () => {
    proves('trail-proofs', 'trail-signed')
    const text = 'text\n'
    const { roots, ...made } = allProofs()
    const notes = entries.filter(({ type }) => type === 'checkpoint').map(noteOf)
    const signed = signNote(text, signer)
    const input = JSON.stringify({ ...KEYS, text, signed, notes, leaves: hashes, ...made })
    const program = join(root, 'test/oracles/checkpoints.go')
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: path }
    const { stdout, stderr } = spawnSync('go', ['run', program], { input, env, encoding: 'utf8', maxBuffer: 2 ** 28 })
    if (stdout === '') throw new Error(stderr)
    const answer = JSON.parse(stdout)
    expect(answer.problems).toEqual([])
    expect(answer.checked).toBe(SIZE * (SIZE + 1) + notes.length)
    expect(answer.roots.slice(0, SIZE)).toEqual(roots)
    expect(answer.inclusion).toEqual(made.inclusion)
    expect(answer.consistency).toEqual(made.consistency)
    expect(answer.signed).toBe(signed)
    expect(openNote(answer.signed, [verifierFor(KEYS.publicKey) as Verifier])).toMatchObject({ text })
  })
})

describe('Python’s own library', () => {
  const has = spawnSync('python3', ['--version']).status === 0
  if (!has) console.info('skipped: needs `python3`')

  it.skipIf(!has)('follows every proof from the entry to the root', () => {
    const run = (texts: readonly string[]) => {
      const input = JSON.stringify(texts)
      const { stdout } = spawnSync('python3', [join(root, 'test/oracles/tlog_proof.py')], { input, encoding: 'utf8' })
      return JSON.parse(stdout) as { checked: number; problems: string[] }
    }
    expect(run(proofs.map(({ text }) => text))).toEqual({ checked: proofs.length, problems: [] })
    const [first, second] = proofs.slice(10, 12) as unknown as [InclusionProof, InclusionProof]
    expect(run([tlogProof({ ...first, path: second.path.slice(1) })]).problems).toHaveLength(1)
  })
})

describe('sigstore’s client', () => {
  // It checks entries of its own log, Rekor, in which signed notes and trees are the same.
  const require = createRequire(import.meta.url)
  const dist = join(require.resolve('@sigstore/verify'), '..', 'tlog')
  const { verifyMerkleInclusion } = require(join(dist, 'merkle.js'))
  const { verifyCheckpoint } = require(join(dist, 'checkpoint.js'))

  it('verifies every checkpoint and every proof of inclusion, and refuses what was changed', () => {
    proves('trail-proofs', 'trail-signed')
    const material = Buffer.from(KEYS.publicKey.split('+').slice(2).join('+'), 'base64')
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), material.subarray(1)])
    const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
    const verify = ({ entry, index, path, checkpoint }: InclusionProof) => {
      const { origin } = readNote(checkpoint)
      const logID = hash('sha256', Buffer.concat([Buffer.from(`${origin}\n`), material]), 'buffer')
      const leaf = Buffer.from((JSON.parse(entry) as Entry).hash, 'hex')
      const inclusionProof = {
        logIndex: String(index),
        hashes: path.map((one) => Buffer.from(one, 'base64')),
        checkpoint: { envelope: checkpoint },
      }
      const told = { inclusionProof, canonicalizedBody: leaf }
      verifyMerkleInclusion(told, verifyCheckpoint(told, [{ logID, baseURL: origin, publicKey }]))
    }
    expect(proofs.length).toBeGreaterThan(80)
    for (const proof of proofs) verify(proof)
    const [proof, other] = proofs.slice(20, 22) as unknown as [InclusionProof, InclusionProof]
    for (const changed of [
      { ...proof, index: 21 },
      { ...proof, entry: other.entry },
      { ...proof, path: other.path },
      { ...proof, checkpoint: proof.checkpoint.replace('time 2', 'time 3') },
    ]) {
      expect(() => verify(changed)).toThrow()
    }
  })
})

it('what Haldir checks by, it makes', () => {
  const { inclusion, consistency, roots } = allProofs()
  const raw = (texts: readonly string[]) => texts.map((text) => Buffer.from(text, 'base64').toString('latin1'))
  const rootsRaw = raw(roots)
  for (let size = 1; size <= SIZE; size++) {
    for (let at = 0; at < size; at++) {
      const root = rootsRaw[size - 1] as string
      const path = raw(inclusion[size - 1]?.[at] as string[])
      expect(verifyInclusion(at, size, leafOf(hashes[at] as string), path, root)).toBe(true)
      const steps = raw(consistency[size - 1]?.[at] as string[])
      expect(verifyConsistency(at + 1, size, rootsRaw[at] as string, root, steps)).toBe(true)
    }
  }
})
