/** The pages say what is so: every code, option, kind of entry and page is named, and what is quoted is the real text. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DenialCode, Denied } from '@haldir/core'
import { readPolicy } from '@haldir/core/policy'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const core = (path: string) => read(`packages/core/src/${path}`)
const pages = ['README.md', ...globSync('{docs/*.md,{packages,examples}/*/README.md}', { cwd: root })]

/** The texts of a list or a union in a source file: what stands in quotes from `start` to the first empty line. */
function quoted(source: string, start: string): string[] {
  const begin = source.indexOf(start)
  expect(begin, `\`${start}\` stands in the source`).toBeGreaterThanOrEqual(0)
  const [text = ''] = source.slice(begin + start.length).split(/\n\n|\] as const/)
  return [...text.matchAll(/'([^']+)'/g)].map(([, name]) => name as string)
}

/** The rows of all tables in a page, by what stands in backticks in their first cell. */
function rowsOf(text: string): Map<string, string[]> {
  const rows = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    if (!line.startsWith('| `')) continue
    const cells = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim())
    for (const [, name] of (cells[0] as string).matchAll(/`([^`]+)`/g)) rows.set(name as string, cells)
  }
  return rows
}

describe('docs/denials.md', () => {
  const rows = rowsOf(read('docs/denials.md'))
  const denials = quoted(core('errors.ts'), 'export type DenialCode =') as DenialCode[]
  const configs = quoted(core('errors.ts'), 'export type ConfigCode =')

  it('has a row for every code, and for no other', () => {
    expect(denials.length).toBeGreaterThan(10)
    expect(configs.length).toBeGreaterThan(4)
    expect([...rows.keys()].sort()).toEqual([...denials, ...configs].sort())
  })

  it.each(denials)('says of %s what the model reads, and whether it may succeed later', (code) => {
    const denial = new Denied(code, 'why', '')
    const [, , next, retryable] = rows.get(code) as string[]
    expect(`Denied (${code}): why. ${next}`).toBe(denial.message)
    expect(retryable).toBe(denial.retryable ? 'yes' : 'no')
  })

  it('quotes a denial as it is', () => {
    const { message } = new Denied('scope-missing', 'the session does not hold the scope `admin`', '')
    expect(read('docs/denials.md').replaceAll('\n', ' ')).toContain(message)
  })
})

describe('docs/audit.md', () => {
  const rows = rowsOf(read('docs/audit.md'))

  it('names every kind of entry that is written', () => {
    const types = quoted(core('watch/entry.ts'), 'export const ENTRY_TYPES = [')
    expect(types.length).toBeGreaterThan(20)
    for (const type of types) expect(rows.has(type), type).toBe(true)
  })

  it('names every member of an entry', () => {
    const members = [...core('watch/entry.ts').matchAll(/^ {2}(\w+): (?:z\.|hex|amounts)/gm)].map(([, name]) => name)
    expect(members).toHaveLength(28)
    for (const member of members) expect(rows.has(member as string), member).toBe(true)
  })

  it('names every problem that a verification finds', () => {
    const kinds = [...core('watch/verification.ts').matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, kind]) => kind as string)
    expect(kinds).toHaveLength(15)
    for (const kind of kinds) expect(rows.has(kind), kind).toBe(true)
  })
})

it('docs/telemetry.md names every attribute, span and metric', () => {
  const text = read('docs/telemetry.md')
  const names = [...core('telemetry/conventions.ts').matchAll(/'((?:gen_ai|haldir|error)\.[a-z_.]+)'/g)]
  expect(names.length).toBeGreaterThan(25)
  for (const [, name] of names) expect(text, name).toMatch(new RegExp(`\`${name}[ \`]`))
})

describe('packages/core/README.md', () => {
  const rows = rowsOf(read('packages/core/README.md'))

  it.each([
    ['createHaldir', 'haldir-options.ts'],
    ['a tool', 'tool-options.ts'],
  ])('has a row for every option of %s', (_, file) => {
    const options = quoted(core(file), 'const KEYS = [')
    expect(options.length).toBeGreaterThan(8)
    for (const option of options) expect(rows.has(option), option).toBe(true)
  })

  it('names every code of a denial', () => {
    for (const code of quoted(core('errors.ts'), 'export type DenialCode =')) expect(rows.has(code), code).toBe(true)
  })
})

it('docs/limits.md explains everything that the README admits', () => {
  const [, list = ''] = read('README.md').split('## What Haldir does not protect from')
  const admitted = [...list.matchAll(/\*\*([^*]+?)\.?\*\*/g)].map(([, what]) => what as string)
  expect(admitted.length).toBeGreaterThan(5)
  const limits = read('docs/limits.md')
  for (const what of admitted) expect(limits).toContain(`**${what}`)
})

describe('llms.txt', () => {
  const text = read('llms.txt')
  const links = [...text.matchAll(/^- \[[^\]]+\]\(([^)]+)\): \S.*$/gm)].map(([, link]) => link as string)

  it('has a title, a summary in a quote, and sections of links with a line each', () => {
    expect(text).toMatch(/^# \S.*\n\n> \S.*\n\n/)
    const body = text.slice(text.indexOf('\n## '))
    for (const line of body.split('\n')) expect(line).toMatch(/^(|## \S.*|- \[[^\]]+\]\([^)]+\): \S.*)$/)
  })

  it('lists every page, once, and only what exists', () => {
    expect(new Set(links).size).toBe(links.length)
    for (const link of links) expect(() => read(link)).not.toThrow()
    for (const page of pages) expect(links).toContain(page)
  })
})

describe.each(pages)('%s', (page) => {
  const text = read(page)

  it('has no block that nothing checks', () => {
    const languages = [...text.matchAll(/^```(\S*)\n[\s\S]*?^```$/gm)].map(([, language]) => language)
    expect(languages.filter((language) => !['ts', 'yaml', 'sh', 'text'].includes(language as string))).toEqual([])
  })

  it('shows policies that load', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'haldir-docs-'))
    try {
      for (const [, policy] of text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)) {
        writeFileSync(join(folder, 'policy.yaml'), policy as string)
        expect((await readPolicy(join(folder, 'policy.yaml'))).rules.length).toBeGreaterThan(0)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('points only at headings that exist', () => {
    for (const [, path, heading] of text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
      const target = path ? readFileSync(join(root, page, '..', path), 'utf8') : text
      const headings = [...target.matchAll(/^#+ (.+)$/gm)].map(([, title]) => slugOf(title as string))
      expect(headings, `${path}#${heading}`).toContain(heading)
    }
  })
})

/** A heading's anchor, as code hosts make it. */
function slugOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
