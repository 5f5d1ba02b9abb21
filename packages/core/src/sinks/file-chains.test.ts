import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { blocksOf, fileChains, linesIn } from './file-chains.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-chains-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

it('reads whole lines, wherever the pieces it reads end, and says where they stand', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '🂡'), maxLength: 8 }), { maxLength: 8 }),
      fc.string({ unit: 'grapheme-ascii', maxLength: 5 }),
      fc.integer({ min: 1, max: 20 }),
      async (lines, tail, chunk) => {
        const path = join(folder, 'file')
        const text = lines.map((line) => `${line}\n`).join('')
        writeFileSync(path, text + tail)
        let [found, end] = ['', 0]
        for await (const block of blocksOf(path, 0, chunk)) {
          expect(block.start).toBe(end)
          expect(block.end - block.start).toBe(Buffer.byteLength(block.text))
          found += block.text
          end = block.end
        }
        expect(found).toBe(text)
        expect(linesIn(found)).toEqual(lines)
        const from = Buffer.byteLength(
          lines
            .slice(0, 2)
            .map((line) => `${line}\n`)
            .join(''),
        )
        const rest: string[] = []
        for await (const block of blocksOf(path, from, chunk)) rest.push(...linesIn(block.text))
        expect(rest).toEqual(lines.slice(2))
      },
    ),
    { numRuns: 200 },
  ))

it('knows the chains of a folder, and none in a folder that is gone', async () => {
  for (const [name, text] of Object.entries({
    'audit-a-b-2.jsonl': '3\n',
    'audit-a-b-1.jsonl': '1\n2\n',
    'audit-a-b-10.jsonl': '4\n',
    'audit-new-1.jsonl': '',
    'audit-torn-1.jsonl': 'half',
    'audit-a-b.lock': '{}',
    'other.jsonl': 'x\n',
  })) {
    writeFileSync(join(folder, name), text)
  }
  const [chain, ...others] = await fileChains(folder)
  expect([chain?.writer, chain?.first, others]).toEqual(['a-b', '1', []])
  const lines = (await Array.fromAsync(chain?.read() ?? [])).flat()
  expect(lines.map(({ line }) => line)).toEqual(['1', '2', '3', '4'])
  expect(await fileChains(join(folder, 'gone'))).toEqual([])
})
