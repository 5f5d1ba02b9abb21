/**
 * `npm run bench:size`: what the packages weigh, and how long importing them takes, beside a bare process and zod. Like
 * the other benches it reports and judges nothing.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesIn, type Packed, packAll } from '../packaging/packed.ts'
import { root, run, succeed } from '../packaging/run.ts'
import { heading, note, number, progressOf, row } from './table.ts'

const PROCESSES = 15
/** What is imported; nothing stands for a process that imports nothing. */
const IMPORTS = [
  '',
  'zod',
  'ai',
  '@haldir/core',
  '@haldir/core/adapter',
  '@haldir/core/policy',
  '@haldir/core/stores/sqlite',
  '@haldir/core/sinks/file',
  '@haldir/core/verify',
  '@haldir/ai-sdk',
] as const

const NOTES = `
A time is that of a whole process, from its start to its end; CPU is what it took of all processors
together, which other work on the machine disturbs less. Below a row: the files that it loads of
each package. An installed package counts with all that it depends on.`

/** Counts the files that an import loads of each package, whether imported or required. */
const WATCHING = `
import { registerHooks } from 'node:module'
const packages = new Map()
registerHooks({
  load(url, context, next) {
    const name = /.*\\/(?:node_modules|packages)\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(url)?.[1]
    if (name) packages.set(name, (packages.get(name) ?? 0) + 1)
    return next(url, context)
  },
})
process.on('exit', () => console.log(JSON.stringify([...packages])))`

await main()

async function main(): Promise<void> {
  const { where, packed } = await packAll()
  try {
    heading('tarballs')
    columns('packed kB', 'unpacked kB', 'files')
    for (const one of packed) tarball(one)
    const { bytes, files } = await installed(packed, where)
    row('@haldir/core, installed with all it needs', ['', kilobytes(bytes), number(files)])
  } finally {
    rmSync(where, { recursive: true, force: true })
  }

  heading(`importing, p50 of ${PROCESSES} fresh processes · Node ${process.version}`)
  columns('ms', 'over bare', 'CPU ms')
  const times = await importTimes()
  const bare = median(times.get('')?.wall as number[])
  for (const [what, { wall, cpu }] of times) {
    const p50 = median(wall)
    row(what || 'nothing', [number(p50), what === '' ? '' : number(p50 - bare), number(median(cpu))])
    if (what !== '') note(`  ${(await packagesOf(what)).map(([name, count]) => `${name} ${count}`).join(', ')}`)
  }
  note(NOTES)
}

function tarball({ name, tarball, unpacked, files }: Packed): void {
  const bytes = files.reduce((sum, path) => sum + statSync(join(unpacked, path)).size, 0)
  row(name, [kilobytes(statSync(tarball).size), kilobytes(bytes), number(files.length)])
}

/** What `npm install @haldir/core` puts into an empty project. */
async function installed(packed: readonly Packed[], where: string): Promise<{ bytes: number; files: number }> {
  const core = packed.find(({ name }) => name === '@haldir/core') as Packed
  const folder = mkdtempSync(join(where, 'installed-'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies: { [core.name]: `file:${core.tarball}` } }))
  const { status } = await run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit'], folder)
  if (status !== 0) return { bytes: Number.NaN, files: Number.NaN }
  const files = filesIn(join(folder, 'node_modules'))
  const bytes = files.reduce((sum, path) => sum + statSync(join(folder, 'node_modules', path)).size, 0)
  return { bytes, files: files.length }
}

/** In milliseconds. They take turns, so that whatever else the machine does hits all of them. */
async function importTimes(): Promise<Map<string, { readonly wall: number[]; readonly cpu: number[] }>> {
  const times = new Map(IMPORTS.map((what) => [what as string, { wall: [] as number[], cpu: [] as number[] }]))
  const { at, end } = progressOf('import times')
  for (let round = 0; round < PROCESSES; round++) {
    for (const [what, { wall, cpu }] of times) {
      const program = `${importing(what)}; process.on('exit', () => console.log(JSON.stringify(process.cpuUsage())))`
      const begun = performance.now()
      const printed = await succeed(process.execPath, ['--input-type=module', '-e', program], root)
      wall.push(performance.now() - begun)
      const { user, system } = JSON.parse(printed) as NodeJS.CpuUsage
      cpu.push((user + system) / 1000)
    }
    at((round + 1) / PROCESSES)
  }
  end()
  return times
}

async function packagesOf(what: string): Promise<[name: string, files: number][]> {
  const preload = `data:text/javascript,${encodeURIComponent(WATCHING)}`
  const printed = await succeed(
    process.execPath,
    ['--import', preload, '--input-type=module', '-e', importing(what)],
    root,
  )
  return JSON.parse(printed)
}

function importing(what: string): string {
  return what === '' ? '0' : `import ${JSON.stringify(what)}`
}

function columns(...names: [string, string, string]): void {
  note(['', ...names].map((name, index) => name.padStart([43, 8, 12, 11][index] ?? 0)).join(''))
}

function kilobytes(bytes: number): string {
  return number(bytes / 1000)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number
}
