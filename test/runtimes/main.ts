/**
 * `npm run test:runtimes`: the built packages and the tests on every Node that `package.json` here names, the lowest we
 * promise among them. Ends with 1 when anything fails on any of them. `-- 22.13` takes only those that begin so.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const here = import.meta.dirname
const root = join(here, '../..')
const manifestAt = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const { packageManager } = manifestAt(root) as { packageManager: string }

/**
 * About how packages are installed, typed and described, what contracts notice, what is sought at random, and what starts,
 * kills or breaks hundreds of processes for minutes.
 */
const LEFT_OUT = [
  'test/crash/**',
  'test/readme.test.ts',
  'test/acceptance/examples.test.ts',
  'test/acceptance/tamper.test.ts',
  'test/evals/**',
  'test/packaging/**',
  'test/types/**',
  'test/contracts/*-broken.test.ts',
  'test/contracts/*-model*.test.ts',
  'test/docs.test.ts',
  'test/boundaries.test.ts',
]
/** From here on Node runs TypeScript unasked; before, tests that start a program of ours have it asked for. */
const STRIPS_TYPES = [22, 18] as const
const ASK = '--experimental-strip-types --disable-warning=ExperimentalWarning'
execFileSync('npx', ['--yes', packageManager, 'install', '--frozen-lockfile'], { cwd: here, stdio: 'inherit' })

const platform = `${process.platform}-${process.arch}`
const aliases = Object.keys(manifestAt(here).optionalDependencies).filter((alias) => alias.endsWith(platform))
const wanted = process.argv.slice(2)
const failed: string[] = []
let ran = 0

for (const alias of aliases) {
  const node = join(here, 'node_modules', alias, 'bin/node')
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  if (wanted.length > 0 && !wanted.some((begin) => version.startsWith(`v${begin}`))) continue
  ran++
  say(`Node ${version}`)
  if (!story(node, 'imported.mjs') || !story(node, 'required.cjs')) failed.push(`${version}: the built packages`)
  if (!tests(node, version)) failed.push(`${version}: the tests`)
}

if (ran === 0) {
  say(`there is no Node for ${platform} to run: nothing was tested`)
  // What CI asks for must have happened.
  if (wanted.length > 0 || process.env.CI !== undefined) process.exitCode = 1
} else if (failed.length > 0) {
  say(`failed on ${failed.join('; ')}`)
  process.exitCode = 1
} else {
  say(`${ran} Nodes: all as expected`)
}

/** The program of a user's that `test/packaging` installs, here on the packages as built, with every subpath. */
function story(node: string, program: string): boolean {
  const folder = join(root, 'test/packaging/consumer')
  const args = [join(folder, program), ...subpaths()]
  const { status, stdout, stderr } = spawnSync(node, args, { encoding: 'utf8', timeout: 60_000 })
  const ok = status === 0 && stdout === readFileSync(join(folder, 'expected.txt'), 'utf8')
  console.log(`${program}: ${ok ? 'as expected' : `ended with ${status}\n${stdout}`}`)
  if (stderr !== '') console.log(stderr.trimEnd())
  return ok
}

function subpaths(): string[] {
  return globSync('packages/*/package.json', { cwd: root }).flatMap((path) => {
    const { name, exports } = manifestAt(join(root, dirname(path))) as { name: string; exports: object }
    return Object.keys(exports)
      .map((subpath) => name + subpath.slice(1))
      .filter((subpath) => subpath !== '@haldir/core/policy-test') // a program
  })
}

function tests(node: string, version: string): boolean {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const [since, at] = STRIPS_TYPES
  const strips = major > since || (major === since && minor >= at)
  console.log(`left out: ${LEFT_OUT.join(', ')}`)
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=dot', '--testTimeout=60000']
  const excluded = ['**/node_modules/**', ...LEFT_OUT].flatMap((pattern) => ['--exclude', pattern])
  // What a test starts by name is to be this Node too.
  const path = `${dirname(node)}${delimiter}${process.env.PATH}`
  const env = { ...process.env, PATH: path, ...(strips ? {} : { NODE_OPTIONS: ASK }) }
  return spawnSync(node, [...args, ...excluded], { cwd: root, stdio: 'inherit', env }).status === 0
}

function say(text: string): void {
  console.log(`\n=== ${text}`)
}
