import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { secretlint } from './detect.ts'

const detector = await secretlint()
const { signal } = new AbortController()
const TOKEN = `gh${'p'}_${'aB3d'.repeat(9)}`
const found = async (text: string, by = detector) =>
  (await by.find(text, { signal })).map(({ start, end, kind }) => `${kind} ${text.slice(start, end)}`)

describe('the rules', () => {
  it('find the value, not what it is called, where they report a range of the wrong place', async () => {
    const secret = 'aB3d/'.repeat(8).slice(0, 39).concat('Z')
    expect(await found(`AWS_SECRET_ACCESS_KEY=${secret}`)).toEqual([`aws ${secret}`])
    expect(await found(`"SecretAccessKey" :   "${secret}",`)).toEqual([`aws ${secret}`])
  })

  it('find the id of an AWS key, and leave the number of an account alone', async () => {
    const id = `AKI${'A'}B2C3D4E5F6G7H2J3`
    expect(await found(`id ${id}, AWS_ACCOUNT_ID=123456789012`)).toEqual([`aws ${id}`])
  })

  it('count in units of the text, whatever it begins with', async () => {
    expect(await found(`\ufeff🔑 ${TOKEN}`)).toEqual([`github ${TOKEN}`])
  })

  it('are not told by a text what to ignore', async () => {
    expect(await found(`secretlint-disable\n${TOKEN}\n`)).toEqual([`github ${TOKEN}`])
  })

  it('can be left out by kind; a kind that nobody knows is named', async () => {
    const fewer = await secretlint({ except: ['github'] })
    expect(await found(TOKEN, fewer)).toEqual([])
    expect(await found(TOKEN)).toHaveLength(1)
    await expect(secretlint({ except: ['slack', 'gihub'] })).rejects.toMatchObject({
      code: 'invalid-option',
      path: 'except.1',
      message: '`except.1` is no kind that is known; did you mean `github`?',
    })
    await expect(secretlint({ except: [7] as never })).rejects.toMatchObject({ path: 'except.0' })
    await expect(secretlint({ except: 'github' as never })).rejects.toMatchObject({ path: 'except' })
    await expect(secretlint({ without: [] } as never)).rejects.toMatchObject({ path: 'without' })
  })
})

describe('a long text', () => {
  const CHUNK = 65_536
  const STEP = CHUNK - 16_384

  it('is found in wherever the chunks it is searched in begin and end', async () => {
    for (const border of [CHUNK, STEP, STEP + CHUNK, 2 * STEP]) {
      for (const before of [0, 1, 2, 20, 39, 40, 41]) {
        const text = `${' '.repeat(border - before)}${TOKEN}${' '.repeat(2 * CHUNK)}`
        expect([...new Set(await found(text))], `${border} - ${before}`).toEqual([`github ${TOKEN}`])
      }
    }
    const pem = `-----BEGIN PRIVATE KEY-----\n${`MII${'Ev'.repeat(30)}\n`.repeat(150)}-----END PRIVATE KEY-----`
    for (const border of [CHUNK, STEP]) {
      const text = `${' '.repeat(border - 5_000)}${pem}${' '.repeat(CHUNK)}`
      expect([...new Set(await found(text))]).toEqual([`privatekey ${pem}`])
    }
  })

  it('is not found in where only a border makes it look like one', async () => {
    // Longer or in the middle of a word it is none; cut at a border it would be.
    for (const border of [CHUNK, STEP, STEP + CHUNK]) {
      const longer = `${' '.repeat(border - TOKEN.length)}${TOKEN}more${' '.repeat(CHUNK)}`
      expect(await found(longer)).toEqual([])
      const inner = `${' '.repeat(border - 1)}x${TOKEN}${' '.repeat(CHUNK)}`
      expect(await found(inner)).toEqual([])
    }
  })

  it('is found in when the credential is longer than what two chunks share', async () => {
    const long = `xox${'b'}-${'a1b2c3-'.repeat(12_000)}end`
    const spans = await detector.find(`${' '.repeat(1_000)}${long} `, { signal })
    expect(spans[0]).toMatchObject({ kind: 'slack', start: 1_000, end: CHUNK })
  })

  it('lets others go on meanwhile', async () => {
    let turns = 0
    let over = false
    const counting = () => {
      turns++
      if (!over) setImmediate(counting)
    }
    setImmediate(counting)
    await detector.find(' '.repeat(10 * CHUNK), { signal })
    over = true
    expect(turns).toBeGreaterThanOrEqual(10)
  })

  it('is given up as soon as nobody waits', async () => {
    const stopping = new AbortController()
    const searching = detector.find(' '.repeat(20 * CHUNK), { signal: stopping.signal })
    stopping.abort(new Error('enough'))
    await expect(searching).rejects.toThrow('enough')
    expect(getEventListeners(stopping.signal, 'abort')).toEqual([])
  })

  it('leaves nothing behind in the process', async () => {
    for (let round = 0; round < 50; round++) await found(TOKEN)
    expect(performance.getEntriesByType('mark')).toEqual([])
  })
})
