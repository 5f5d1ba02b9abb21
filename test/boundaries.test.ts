/** Who may import what. The table is the house plan; the test reads every import of every source file. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const sources = globSync('packages/*/src/**/*.ts', { cwd: root }).filter((path) => !/\.test(-d)?\.ts$/.test(path))

/** What the files of a room may import, as prefixes of paths below `packages/core/src`. */
const PILLARS = ['gate', 'vault', 'watch']
const GROUND = [
  'printable',
  'standard-webhooks',
  'errors',
  'clock',
  'money',
  'show',
  'duration',
  'options',
  'hosts',
  'call',
  'context',
  'key-file',
]
const ROOMS: Record<string, readonly string[]> = {
  gate: [
    'gate',
    'journal/journal',
    'stores/store',
    'stores/approvals',
    'stores/window',
    'approvers/approver',
    'governor',
    ...GROUND,
  ],
  vault: ['vault', 'stores/store', ...GROUND],
  watch: ['watch', 'stores/store', 'sinks/sink', ...GROUND],
  egress: ['egress', ...GROUND],
  journal: ['journal', 'stores/store', 'stores/window', 'sinks/lock', ...GROUND],
  witnesses: ['witnesses', 'watch/witness', 'watch/note', 'egress', ...GROUND],
  stores: ['stores', ...GROUND],
  // What leaves by HTTP goes the one guarded way out.
  sinks: ['sinks', 'egress/address', 'egress/transport', ...GROUND],
  approvers: ['approvers', 'stores/approvals', ...GROUND],
  telemetry: ['telemetry', ...GROUND],
  // It asks what the trail is asked, and reads what a file sink has written.
  'trail-index': [
    'trail-index',
    'watch',
    'sinks/sink',
    'sinks/file-chains',
    'sinks/segments',
    'stores/sqlite-file',
    ...GROUND,
  ],
  // They tell of signals, by Slack's API and by the one guarded way out.
  notifiers: [
    'notifiers',
    'watch/signals/signal',
    'approvers/slack/api',
    'approvers/slack/options',
    'approvers/slack/text',
    'egress/address',
    'egress/transport',
    ...GROUND,
  ],
}
/** What each package may import besides its own files, Node's modules and the framework it wraps. */
const PACKAGES: Record<string, readonly string[]> = {
  core: [
    '@cfworker/json-schema',
    'zod',
    're2js',
    'yaml',
    'ipaddr.js',
    'undici',
    '@secretlint/secretlint-rule-preset-recommend',
    '@opentelemetry/api',
  ],
  'ai-sdk': ['@haldir/core', 'ai', '@ai-sdk/provider'],
  anthropic: ['@haldir/core', '@anthropic-ai/sdk'],
  langchain: ['@haldir/core', '@langchain/core'],
  openai: ['@haldir/core', 'openai', '@openai/agents'],
  // A client is whatever has its shape: nothing of it is imported.
  postgres: ['@haldir/core'],
  redis: ['@haldir/core'],
  testing: ['@haldir/core', 'vitest'],
}

/** `type` marks an import that is gone when the program runs. */
function importsOf(path: string): { from: string; type: boolean }[] {
  const text = readFileSync(join(root, path), 'utf8')
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^'"`;]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bawait import\('([^']+)'\)/gm,
  )
  return [...found].map(([, type, from, bare, late]) => ({
    from: (from ?? bare ?? late) as string,
    type: type !== undefined,
  }))
}

describe.each(sources)('%s', (path) => {
  const [, name = '', , room = ''] = path.split('/')

  it('imports only what its package and its room may', () => {
    for (const { from } of importsOf(path)) {
      if (from.startsWith('node:')) continue
      if (!from.startsWith('.')) {
        expect(
          PACKAGES[name]?.some((allowed) => from === allowed || from.startsWith(`${allowed}/`)),
          `${path} imports ${from}`,
        ).toBe(true)
        continue
      }
      const target = normalize(join(dirname(path), from)).replace(`packages/${name}/src/`, '')
      expect(target.startsWith('..'), `${path} imports ${from}`).toBe(false)
      const allowed = name === 'core' ? ROOMS[room] : undefined
      const may =
        allowed === undefined || allowed.some((prefix) => target === `${prefix}.ts` || target.startsWith(`${prefix}/`))
      expect(may, `${path} imports ${from}`).toBe(true)
    }
  })

  it('is read in one sitting', () => {
    expect(readFileSync(join(root, path), 'utf8').split('\n').length).toBeLessThanOrEqual(
      path.endsWith('pipeline.ts') ? 160 : 300,
    )
  })
})

describe.each(['ai-sdk', 'anthropic', 'langchain', 'openai'])('the adapter %s', (name) => {
  const own = sources.filter((path) => path.startsWith(`packages/${name}/`))

  it('knows the way into the path and the public names, and nothing of what judges', () => {
    for (const { from } of own.flatMap(importsOf)) {
      if (from.startsWith('@haldir/core')) expect(['@haldir/core', '@haldir/core/adapter']).toContain(from)
    }
  })

  it('is thin: no file has more than 200 lines of code', () => {
    for (const path of own) {
      const code = readFileSync(join(root, path), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      expect(code.split('\n').filter((line) => line.trim() !== '').length, path).toBeLessThanOrEqual(200)
    }
  })
})

it('the three pillars never import one another', () => {
  for (const pillar of PILLARS) {
    const others = PILLARS.filter((other) => other !== pillar)
    expect(ROOMS[pillar]?.some((allowed) => others.includes(allowed))).toBe(false)
  }
})

it('core never reaches for time, randomness or the network on its own', () => {
  for (const path of sources.filter((path) => path.startsWith('packages/core/'))) {
    const text = readFileSync(join(root, path), 'utf8')
      .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      // A method of that name is not the global function.
      .replace(/\bfetch\([^()]*\): Promise<Response( \| undefined)?>/g, '')
    const reached = text.match(
      /\bDate\.now\b|\bperformance\.now\b|(?<![.\w])setTimeout\(|\bsetInterval\b|(?<![.\w])fetch\(|Math\.random\(\)/g,
    )
    expect(path.endsWith('src/clock.ts') ? null : reached, path).toBeNull()
  }
})

it('what users import loads an optional peer only where its own subpath is imported', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'packages/core/package.json'), 'utf8'))
  const entries = Object.entries(exports as Record<string, { readonly '@haldir/source'?: string }>)
  const loading = entries.flatMap(([subpath, { '@haldir/source': from }]) => {
    const seen = new Set<string>()
    const loads = (path: string): boolean => {
      if (seen.has(path)) return false
      seen.add(path)
      return importsOf(path).some(
        ({ from, type }) =>
          !type && (from.startsWith('.') ? loads(normalize(join(dirname(path), from))) : from === '@opentelemetry/api'),
      )
    }
    return from && loads(join('packages/core', from)) ? [subpath] : []
  })
  expect(loading).toEqual(['./telemetry'])
})

it('no import chain of core leads back to where it began, when it runs', () => {
  const graph = new Map<string, string[]>()
  for (const path of sources.filter((path) => path.startsWith('packages/core/'))) {
    const targets = importsOf(path).filter(({ from, type }) => from.startsWith('.') && !type)
    graph.set(
      path,
      targets.map(({ from }) => normalize(join(dirname(path), from))),
    )
  }
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    expect(trail, `${[...trail, path].join(' → ')}`).not.toContain(path)
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
})
