/**
 * The packages at a user's: installed by npm and by pnpm, imported, required, and type-checked by every compiler that we
 * say they work with.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Packed, packAll, subpathsOf } from './packed.ts'
import { install, type Manager, registryAnswers, versionOf } from './project.ts'
import { root, run } from './run.ts'

// In CI there must be a registry, so that nothing is left out unseen.
const possible = process.env.CI !== undefined || (await registryAnswers())
if (!possible) console.warn('left out: no registry answers, so packages can not be installed into an empty project')

/** Subpaths that are programs: they are started, not imported. */
const PROGRAMS = ['@haldir/core/policy-test']
const expected = readFileSync(new URL('consumer/expected.txt', import.meta.url), 'utf8')

const COMPILERS = { '5.9': 'typescript5', '6': 'typescript6', '7': 'typescript' } as const
/** Who uses us: a service on Node, as strict as it gets, and an application with a bundler, as strict as most are. */
const USERS = {
  service: {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    lib: ['es2023'],
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // Declarations are checked too: ours, and those of what we depend on.
    skipLibCheck: false,
  },
  application: {
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022', 'dom', 'dom.iterable'],
    skipLibCheck: true,
  },
} as const

interface Check {
  readonly user: keyof typeof USERS
  readonly version: keyof typeof COMPILERS
}
const EVERY = (['service', 'application'] as const).flatMap((user) =>
  (['5.9', '6', '7'] as const)
    // Reading every declaration takes a minute: by the oldest and the newest.
    .filter((version) => user === 'application' || version !== '6')
    .map((version): Check => ({ user, version })),
)
interface Leg {
  readonly manager: Manager
  readonly versions: 'newest' | 'oldest'
  readonly frameworks: Readonly<Record<string, string>>
  readonly checks: readonly Check[]
}
const { dependencies: oldest } = JSON.parse(
  readFileSync(join(root, 'test/versions/langchain-core-0.3/package.json'), 'utf8'),
) as { dependencies: Readonly<Record<string, string>> }
/**
 * Both ends of the ranges of frameworks that we say we work with. By pnpm, where a package sees only what it declares,
 * one check of each kind is enough.
 */
const LEGS: readonly Leg[] = [
  { manager: 'npm', versions: 'newest', frameworks: { ai: versionOf('ai') }, checks: EVERY },
  {
    manager: 'pnpm',
    versions: 'oldest',
    frameworks: {
      ai: versionOf('ai6'),
      '@anthropic-ai/sdk': versionOf('anthropic0'),
      '@langchain/core': oldest['@langchain/core'] as string,
      '@opentelemetry/api': '1.9.0',
      '@openai/agents': versionOf('agents017'),
      openai: versionOf('openai5'),
    },
    checks: [
      { user: 'service', version: '7' },
      { user: 'application', version: '5.9' },
    ],
  },
]

describe.skipIf(!possible)('installed into an empty project', () => {
  let where = ''
  let packed: readonly Packed[] = []
  let subpaths: readonly string[] = []
  beforeAll(async () => {
    ;({ where, packed } = await packAll())
    subpaths = packed.flatMap(({ manifest }) => subpathsOf(manifest)).filter((path) => !PROGRAMS.includes(path))
  }, 180_000)
  afterAll(() => rmSync(where, { recursive: true, force: true }))

  it('core alone needs none of its optional peers, and says which is missing where it is asked for', async () => {
    const folder = join(where, 'alone')
    const core = packed.filter(({ name }) => name === '@haldir/core')
    await install(folder, 'npm', core, {})
    expect(await run(process.execPath, ['alone.mjs'], folder)).toEqual({
      status: 0,
      stdout: "ran\n@haldir/core/telemetry: Cannot find package '@opentelemetry/api'\n",
      stderr: '',
    })
  }, 300_000)

  describe.each(LEGS)('by $manager, with the $versions frameworks', ({ manager, frameworks, checks }) => {
    let folder = ''
    beforeAll(async () => {
      folder = join(where, manager)
      await install(folder, manager, packed, { ...optional(packed), ...frameworks })
      writeFileSync(join(folder, 'subpaths.mts'), importing(subpaths))
    }, 300_000)

    it.each(['imported.mjs', 'required.cjs'])(
      '%s does what it is meant to, and loads every subpath',
      async (program) => {
        expect(await run(process.execPath, [program, ...subpaths], folder)).toEqual({
          status: 0,
          stdout: expected,
          stderr: '',
        })
      },
    )

    it('one session governs a tool of every framework', async () => {
      const stdout = readFileSync(new URL('consumer/frameworks.txt', import.meta.url), 'utf8')
      expect(await run(process.execPath, ['frameworks.mjs'], folder)).toEqual({ status: 0, stdout, stderr: '' })
    })

    it('tells OpenTelemetry of calls', async () => {
      const stdout = readFileSync(new URL('consumer/telemetry.txt', import.meta.url), 'utf8')
      expect(await run(process.execPath, ['telemetry.mjs'], folder)).toEqual({ status: 0, stdout, stderr: '' })
    })

    it('runs the programs that come with it', async () => {
      const main = 'node_modules/@haldir/core/dist/policy-test.js'
      expect(await run(process.execPath, [main, '--help'], folder)).toMatchObject({ status: 0, stderr: '' })
      const stdout = expect.stringContaining('usage: haldir-verify')
      expect(await run('node_modules/.bin/haldir-verify', ['--help'], folder)).toEqual({
        status: 0,
        stdout,
        stderr: '',
      })
    })

    it.each(checks)(
      '$user: type-checks with TypeScript $version',
      async ({ user, version }) => {
        const tsc = join(root, 'node_modules', COMPILERS[version], 'bin/tsc')
        const project = `tsconfig.${user}-${version}.json`
        writeFileSync(join(folder, project), JSON.stringify(configOf(user)))
        const told = await run(process.execPath, [tsc, '--version'], folder)
        expect(told.stdout).toContain(` ${version}.`)
        const { stdout, stderr } = await run(process.execPath, [tsc, '-p', project], folder)
        expect({ ours: problemsIn(stdout).filter(isOurs), stderr }).toEqual({ ours: [], stderr: '' })
      },
      // Strict, with every declaration there is, on a machine that has other things to do.
      400_000,
    )
  })
})

/** Frameworks that one need not have: here, all of them. */
function optional(packed: readonly Packed[]): Record<string, string> {
  const peers = packed.flatMap(({ manifest: { peerDependenciesMeta = {} } }) => Object.keys(peerDependenciesMeta))
  return Object.fromEntries(peers.filter((name) => FRAMEWORKS.has(name)).map((name) => [name, versionOf(name)]))
}
const FRAMEWORKS = new Set(['openai', '@openai/agents', '@opentelemetry/api'])

/** A module that imports everything that can be. */
function importing(subpaths: readonly string[]): string {
  const imports = subpaths.map((path, index) => {
    const json = path.endsWith('.json')
    return `import ${json ? '' : '* as '}m${index} from '${path}'${json ? " with { type: 'json' }" : ''}`
  })
  return `${imports.join('\n')}\nexport default [${subpaths.map((_, index) => `m${index}`)}]\n`
}

function configOf(user: keyof typeof USERS): object {
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    types: ['node'],
    resolveJsonModule: true,
    ...USERS[user],
  }
  // A bundler's resolution knows no CommonJS module.
  return {
    compilerOptions,
    files: ['agent.ts', 'adapters.ts', 'subpaths.mts', ...(user === 'service' ? ['common.cts'] : [])],
  }
}

/** What the compiler says, without the lines that go into detail. */
function problemsIn(printed: string): string[] {
  return printed.split('\n').filter((line) => /^\S.*error TS\d+/.test(line))
}

/** Not ours: what is wrong in the declarations of another package. */
function isOurs(problem: string): boolean {
  return !problem.startsWith('node_modules/') || problem.includes('node_modules/@haldir/')
}
