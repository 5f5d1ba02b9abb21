/** What a registry gets: nothing missing, nothing more, nothing that only works in this repository. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { publint } from 'publint'
import { afterAll, describe, expect, it } from 'vitest'
import { filesIn, packAll, published } from './packed.ts'
import { root, run } from './run.ts'

const { where, packed } = await packAll()
afterAll(() => rmSync(where, { recursive: true, force: true }))

/** Beside `dist`, `src`, the manifest, the README and the licence. */
const MORE: Readonly<Record<string, readonly string[]>> = { '@haldir/core': ['policy.schema.json'] }

describe.each(packed)('$name', ({ name, folder, source, tarball, unpacked, files, manifest }) => {
  it('holds its sources, what was built of them, README and licence, and nothing else', () => {
    const sources = filesIn(join(folder, 'src')).filter((path) => !/\.test(-d)?\.ts$/.test(path))
    const built = sources.flatMap((path) =>
      ['.js', '.js.map', '.d.ts', '.d.ts.map'].map((ending) => `dist/${path.replace(/\.ts$/, ending)}`),
    )
    const others = ['LICENSE', 'README.md', 'package.json', ...(MORE[name] ?? [])]
    expect(sources.length).toBeGreaterThan(0)
    expect(files).toEqual([...built, ...others, ...sources.map((path) => `src/${path}`)].sort())
  })

  it('has a manifest that means the same outside of this repository', () => {
    expect(JSON.stringify(manifest)).not.toMatch(/@haldir\/source|catalog:|workspace:|link:|file:/)
    // Nothing runs at the user's on install, whatever guards packing here.
    expect(Object.keys((manifest.scripts as object | undefined) ?? {})).toEqual([])
    expect(manifest).toMatchObject({
      name,
      version: source.version,
      type: 'module',
      license: 'MIT',
      sideEffects: false,
      engines: { node: '>=22.13' },
      publishConfig: { access: 'public' },
    })
    for (const field of ['description', 'keywords']) expect(manifest[field], field).toBeTruthy()
  })

  it('exports what it exports here, and every target is there', () => {
    const { exports: here, publishConfig } = source
    const outside = Object.entries(here).map(([subpath, target]) => {
      if (typeof target === 'string') return [subpath, target]
      const { '@haldir/source': from, ...rest } = target
      expect(from, `${subpath} from source`).toMatch(/^\.\/src\/.*\.ts$/)
      return [subpath, rest]
    })
    expect(publishConfig?.exports).toEqual(Object.fromEntries(outside))
    expect(manifest.exports).toEqual(publishConfig?.exports)
    for (const target of Object.values(manifest.exports)) {
      const paths = typeof target === 'string' ? [target] : Object.values(target)
      for (const path of paths) expect(files).toContain(posix.normalize(path))
      // The order decides: a condition behind `default` is never looked at.
      if (typeof target !== 'string') expect(Object.keys(target)).toEqual(['types', 'default'])
    }
  })

  it('has maps that lead to the sources it ships', () => {
    for (const path of files.filter((path) => path.endsWith('.map'))) {
      const { sources } = JSON.parse(readFileSync(join(unpacked, path), 'utf8')) as { sources: string[] }
      expect(sources.length, path).toBeGreaterThan(0)
      for (const to of sources) expect(files).toContain(posix.join(posix.dirname(path), to))
    }
  })

  it('has nothing that publint would mend', async () => {
    const bytes = readFileSync(tarball)
    const linted = await publint({ pack: { tarball: new Uint8Array(bytes).buffer }, strict: true })
    expect(linted.messages).toEqual([])
  })

  it('resolves to types and code, in the eyes of attw', async () => {
    const { status, stdout, stderr } = await run('node_modules/.bin/attw', ['--profile', 'esm-only', tarball], root)
    expect({ status, printed: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, printed: '' })
  }, 180_000)
})

// What is internal is not in declarations, and another of ours must not build on it.
it('declarations are whole, every one, for users who check those of others, too', async () => {
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2023'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
  }
  const include = packed.map(({ folder }) => join(folder, 'dist/**/*.d.ts'))
  const project = join(where, 'tsconfig.declarations.json')
  writeFileSync(project, JSON.stringify({ compilerOptions, include }))
  const { stdout } = await run(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', project, '--pretty', 'false'],
    root,
  )
  const problems = stdout.split('\n').filter((line) => /error TS\d+/.test(line) && !line.includes('node_modules/'))
  expect(problems).toEqual([])
}, 180_000)

it.each(published)('$source.name is not packed by npm, which would leave `catalog:` in it', async ({ folder }) => {
  const { status, stderr } = await run('npm', ['pack', '--dry-run', '--loglevel=error'], folder)
  expect(status).not.toBe(0)
  expect(stderr).toContain('with pnpm')
})
