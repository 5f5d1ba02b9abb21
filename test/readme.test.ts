/** What the READMEs show is code of an example that runs, and what it prints. */
import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Denied } from '@haldir/core'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const readmes = ['README.md', ...globSync('{docs/*.md,{packages,examples}/*/README.md}', { cwd: root })]

/** A block of TypeScript, the example it names, and the output shown for it, if any. */
function blocksOf(text: string) {
  const found = text.matchAll(
    /(?:<!-- (\S+) -->\n)?```ts\n([\s\S]*?)```(?:(?:(?!```)[\s\S])*?```text\n([\s\S]*?)```)?/g,
  )
  return [...found].map(([, example, code = '', output]) => ({ example, code: code.trim(), output }))
}

describe.each(readmes)('%s', (path) => {
  const text = readFileSync(join(root, path), 'utf8')

  it.each(blocksOf(text))(
    'shows code of $example as it stands there, and what it prints',
    ({ example, code, output }) => {
      expect(example, 'every block of code names its example').toBeDefined()
      expect(readFileSync(join(root, example as string), 'utf8')).toContain(code)
      if (output === undefined) return
      const folder = mkdtempSync(join(tmpdir(), 'haldir-readme-'))
      try {
        const args = [
          '--conditions=@haldir/source',
          '--disable-warning=ExperimentalWarning',
          join(root, example as string),
        ]
        const env = { ...process.env, NO_COLOR: '1', HALDIR_KEY: Buffer.alloc(32, 1).toString('base64') }
        expect(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env })).toBe(output)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  it('points only at files that exist', () => {
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(() => readFileSync(join(root, path, '..', target as string))).not.toThrow(/ENOENT/)
    }
  })
})

it('the first code of the README stands before line 25', () => {
  const lines = readFileSync(join(root, 'README.md'), 'utf8').split('\n')
  expect(lines.findIndex((line) => line.startsWith('```ts'))).toBeLessThan(25)
})

it('the denial it quotes is the one a model reads', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8').replaceAll('\n', ' ')
  expect(text).toContain(
    new Denied('budget-exceeded', "the call costs more than is left of the session's budget", '').message,
  )
})
