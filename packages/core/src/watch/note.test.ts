import { sign as ed25519, generateKeyPairSync } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import {
  type Checkpoint,
  createKeys,
  formatCheckpoint,
  isKeyName,
  openNote,
  originOf,
  parseCheckpoint,
  type Signer,
  signerOf,
  signNote,
  splitNote,
  type Verifier,
  verifierFor,
} from './note.ts'

const seeded = (fill: number) => () => new Uint8Array(32).fill(fill)
const KEYS = createKeys('acme.example/haldir', seeded(7))
const signer = signerOf(KEYS.signingKey) as Signer
const verifier = verifierFor(KEYS.publicKey) as Verifier
const text = 'one\n\ntwo\n'
const note = signNote(text, signer)

// From the tests and the documentation of golang.org/x/mod/sumdb/note.
const GO = {
  signingKey: 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz',
  publicKey: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  text: 'If you think cryptography is the answer to your problem,\n' + 'then you don’t know what your problem is.\n',
}
const GO_NOTE = `${GO.text.replace('’', "'")}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`

describe('Go’s keys and notes', () => {
  it('are read as Go writes them', () => {
    const go = signerOf(GO.signingKey) as Signer
    expect(go.name).toBe('PeterNeumann')
    expect(go.publicKey).toBe(GO.publicKey)
    // Ed25519 leaves nothing to chance: the same key signs the same text alike.
    expect(signNote(GO.text.replace('’', "'"), go)).toBe(GO_NOTE)
  })

  it('are checked as Go does', () => {
    const opened = openNote(GO_NOTE, [verifierFor(GO.publicKey) as Verifier])
    expect(opened).toMatchObject({
      text: GO.text.replace('’', "'"),
      signatures: [{ name: 'PeterNeumann', id: 'c74f20a3' }],
    })
  })
})

it('signs the body of the specification’s example as a checkpoint of its own', () => {
  // C2SP signed-note: key of its example is not public, so only the shape is checked.
  const example =
    'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n'
  expect(splitNote(example)?.text).toBe(
    'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n',
  )
  expect(openNote(example, [verifier])).toEqual({ problem: 'unsigned' })
})

describe('keys', () => {
  it('of a name are 32 random bytes in Go’s encoding', () => {
    expect(KEYS.signingKey).toMatch(/^PRIVATE\+KEY\+acme\.example\/haldir\+[0-9a-f]{8}\+AQcHBw/)
    expect(KEYS.publicKey).toMatch(/^acme\.example\/haldir\+[0-9a-f]{8}\+AepK/)
    expect(signer.publicKey).toBe(KEYS.publicKey)
    expect(createKeys('a').signingKey).not.toBe(createKeys('a').signingKey)
  })

  test.each(['', ' ', 'a b', 'a+b', 'https://a\n', 'ä', '-a', 'a'.repeat(201), 1, undefined])(
    '%j is no name',
    (name) => {
      expect(isKeyName(name)).toBe(false)
      expect(() => createKeys(name as string, seeded(1))).toThrow(RangeError)
    },
  )

  it('sign and are read, whatever their bytes are', () => {
    for (let seed = 0; seed < 64; seed++) {
      const keys = createKeys('a', seeded(seed))
      const opened = openNote(signNote(text, signerOf(keys.signingKey) as Signer, 'a/w'), [
        verifierFor(keys.publicKey, 'w') as Verifier,
      ])
      expect(opened).toMatchObject({ text })
    }
  })

  it('of another length of random bytes are not made', () => {
    expect(() => createKeys('a', () => new Uint8Array(31))).toThrow(RangeError)
  })

  test.each([
    ['nothing', () => ''],
    ['a public key', () => KEYS.publicKey],
    ['another id', () => KEYS.signingKey.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    ['another name', () => KEYS.signingKey.replace('acme', 'acne')],
    ['a cut one', () => KEYS.signingKey.slice(0, -1)],
    ['a longer one', () => `${KEYS.signingKey}A`],
    ['another algorithm', () => KEYS.signingKey.replace(/\+AQ/, '+Ag')],
    ['a newline at its end', () => `${KEYS.signingKey}\n`],
  ])('are not read from %s', (_, made) => {
    expect(signerOf(made())).toBeUndefined()
  })

  test.each([
    ['nothing', () => ''],
    ['no text', () => 7],
    ['a signing key', () => KEYS.signingKey],
    ['another id', () => KEYS.publicKey.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    ['another name', () => KEYS.publicKey.replace('acme', 'acne')],
    ['a cut one', () => KEYS.publicKey.slice(0, -1)],
    ['another algorithm', () => KEYS.publicKey.replace('+Aep', '+Aup')],
  ])('of verifiers are not read from %s', (_, made) => {
    expect(verifierFor(made())).toBeUndefined()
  })

  it('of a writer are the same key under a longer name', () => {
    const key = verifierFor(KEYS.publicKey, 'w1') as Verifier
    expect(key.name).toBe('acme.example/haldir/w1')
    expect(key.id).not.toBe(verifier.id)
    const own = signNote(text, signer, originOf(signer.name, 'w1'))
    expect(openNote(own, [key])).toMatchObject({ text })
    expect(openNote(own, [verifier])).toEqual({ problem: 'unsigned' })
    expect(openNote(own, [verifierFor(KEYS.publicKey, 'w2') as Verifier])).toEqual({ problem: 'unsigned' })
  })
})

describe('a signed note', () => {
  it('gives back its text and who has signed it', () => {
    expect(openNote(note, [verifier])).toEqual({
      text,
      signatures: [{ name: signer.name, id: verifier.id, line: note.split('\n').at(-2) }],
    })
  })

  it('says `unsigned` to those who know other keys', () => {
    const other = verifierFor(createKeys('acme.example/haldir', seeded(8)).publicKey) as Verifier
    expect(openNote(note, [other])).toEqual({ problem: 'unsigned' })
    expect(openNote(note, [])).toEqual({ problem: 'unsigned' })
  })

  it('is refused when a known key is named that has not signed it, whoever else has', () => {
    const second = createKeys('b.example', seeded(9))
    const [line] = splitNote(signNote('other\n', signerOf(second.signingKey) as Signer))?.lines ?? []
    expect(openNote(`${note}${line}\n`, [verifier, verifierFor(second.publicKey) as Verifier])).toEqual({
      problem: 'signature',
    })
    // To who does not know that key, it is as good as not there.
    expect(openNote(`${note}${line}\n`, [verifier])).toMatchObject({ text })
  })

  it('counts a key once, and takes any of many signatures', () => {
    const [line = ''] = splitNote(note)?.lines ?? []
    const unknown = line.replace('haldir', 'x')
    expect(openNote(`${text}\n${`${unknown}\n`.repeat(16)}${line}\n${line}\n`, [verifier])).toMatchObject({
      signatures: [{ name: signer.name }],
    })
    expect(openNote(`${text}\n${`${unknown}\n`.repeat(100)}${line}\n`, [verifier])).toEqual({ problem: 'malformed' })
  })

  test.each([
    ['nothing', ''],
    ['no text', undefined],
    ['no signature', 'one\n\n'],
    ['a text alone', 'one\n'],
    ['no newline at its end', note.slice(0, -1)],
    ['no blank line', note.replace('two\n\n', 'two\n')],
    ['another dash', note.replace('—', '-')],
    ['a control character', note.replace('one', 'o\tne')],
    ['a carriage return', note.replaceAll('\n', '\r\n')],
    ['half a character', note.replace('one', 'o\ud800')],
    ['more spaces', note.replace('haldir ', 'haldir  ')],
    ['a name with a plus', note.replace('acme', 'ac+me')],
    ['a name with another kind of space', note.replace('acme', 'ac\u00a0me')],
    ['base64 in another spelling', note.replace(/.=\n$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=\n`)],
    ['base64url', note.replace(/[A-Za-z0-9]([A-Za-z0-9+/=]{8})\n$/, '-$1\n')],
    ['a signature of nothing', `${text}\n— acme.example/haldir AAAAAA==\n`],
    ['more than a megabyte', `${'x'.repeat(1_000_001)}\n${note}`],
  ])('with %s is malformed', (_, bad) => {
    expect(openNote(bad, [verifier])).toEqual({ problem: 'malformed' })
  })

  it('is worth nothing after any single change', () => {
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.integer({ min: 0, max: 0xff }), (at, code) => {
        const changed = `${note.slice(0, at)}${String.fromCharCode(code)}${note.slice(at + 1)}`
        if (changed !== note) expect(openNote(changed, [verifier]).problem).toBeDefined()
        expect(openNote(`${note.slice(0, at)}${note.slice(at + 1)}`, [verifier]).problem).toBeDefined()
        expect(openNote(note.slice(0, at), [verifier]).problem).toBeDefined()
      }),
      { numRuns: 400 },
    )
  })

  it('of any input answers a value', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string({ unit: 'binary' }), (anything, string) => {
        expect(openNote(anything, [verifier]).problem).toBeDefined()
        expect(openNote(`${string}\n— acme.example/haldir ${string}\n`, [verifier]).problem).toBeDefined()
        expect(signerOf(string)).toBeUndefined()
        expect(verifierFor(anything)).toBeUndefined()
        expect(parseCheckpoint(string)).toBeUndefined()
      }),
    )
  })

  it('is not made of a signer’s nonsense', () => {
    for (const answer of [undefined, 'x', new Uint8Array(63)]) {
      expect(() => signNote(text, { ...signer, sign: () => answer as Uint8Array })).toThrow(RangeError)
    }
    expect(() => signNote(text, { ...signer, publicKey: 'x' })).toThrow(RangeError)
  })
})

describe('the text of a checkpoint', () => {
  const checkpoint: Checkpoint = {
    origin: 'acme.example/haldir/w1',
    size: 20852163,
    root: 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=',
    head: 'ab'.repeat(32),
    time: '2026-01-02T03:04:05.678Z',
  }
  const lines = formatCheckpoint(checkpoint)

  it('has five lines', () => {
    expect(lines).toBe(
      `acme.example/haldir/w1\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nhead ${'ab'.repeat(32)}\ntime 2026-01-02T03:04:05.678Z\n`,
    )
    expect(parseCheckpoint(lines)).toEqual(checkpoint)
  })

  test.each([
    ['no size', lines.replace('20852163', '')],
    ['a zero in front', lines.replace('20852163', '020852163')],
    ['a sign', lines.replace('20852163', '-1')],
    ['a fraction', lines.replace('20852163', '1.5')],
    ['a size past 2^53', lines.replace('20852163', '9999999999999999')],
    ['a short root', lines.replace('2I=', '2=')],
    ['a root in another spelling', lines.replace('2I=', '2J=')],
    ['a head in capitals', lines.replaceAll('ab', 'AB')],
    ['no head', lines.replace(/head .*\n/, '')],
    ['a time without milliseconds', lines.replace('.678Z', 'Z')],
    ['a day that is none', lines.replace('01-02', '02-30')],
    ['an origin with a space', lines.replace('acme', 'ac me')],
    ['one line more', `${lines}more\n`],
    ['one newline more', `${lines}\n`],
    ['no newline at its end', lines.slice(0, -1)],
    ['windows newlines', lines.replaceAll('\n', '\r\n')],
  ])('with %s is none', (_, bad) => {
    expect(parseCheckpoint(bad)).toBeUndefined()
  })
})

describe('a cosignature', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  const name = 'witness.example/w1'

  async function witnessKey() {
    const { hash } = await import('node:crypto')
    const material = Buffer.concat([Buffer.of(4), raw])
    const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), material]), 'hex').slice(0, 8)
    return { id, vkey: `${name}+${id}+${material.toString('base64')}` }
  }

  it('is checked over its time and the text', async () => {
    const { id, vkey } = await witnessKey()
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(1679315147n)
    const signature = ed25519(null, Buffer.from(`cosignature/v1\ntime 1679315147\n${text}`), privateKey)
    const line = (stamp: Buffer) =>
      `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), stamp, signature]).toString('base64')}`
    const witness = verifierFor(vkey) as Verifier
    expect(witness.id).toBe(id)
    expect(openNote(`${note}${line(time)}\n`, [verifier, witness])).toMatchObject({
      signatures: [{ name: signer.name }, { name, time: 1679315147 }],
    })
    time.writeBigUInt64BE(1679315148n)
    expect(openNote(`${note}${line(time)}\n`, [verifier, witness])).toEqual({ problem: 'signature' })
    time.writeBigUInt64BE(1n << 63n)
    expect(openNote(`${note}${line(time)}\n`, [verifier, witness])).toEqual({ problem: 'signature' })
    expect(verifierFor(vkey, 'w1')).toBeUndefined()
  })
})
