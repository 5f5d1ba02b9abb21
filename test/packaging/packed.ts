/** Every package as a registry would get it: built, packed by pnpm, unpacked again. */
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNPM, root, succeed } from './run.ts'

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly publishConfig?: { readonly exports?: Manifest['exports'] }
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly [field: string]: unknown
}

export interface Packed {
  readonly name: string
  /** Where it comes from. */
  readonly folder: string
  readonly source: Manifest
  readonly tarball: string
  /** Where the tarball is unpacked, and what it holds. */
  readonly unpacked: string
  readonly files: readonly string[]
  readonly manifest: Manifest
}

/** What is published, found without building or packing anything. */
export const published: readonly { readonly folder: string; readonly source: Manifest }[] = globSync(
  'packages/*/package.json',
  { cwd: root },
)
  .sort()
  .map((path) => ({ folder: join(root, path, '..'), source: manifestAt(join(root, path, '..')) }))
  .filter(({ source }) => !source.private)

/** What users may import of a package. */
export function subpathsOf({ name, exports }: Manifest): string[] {
  return Object.keys(exports).map((subpath) => name + subpath.slice(1))
}

/** Packs all packages into a folder of their own, which the caller removes: `where`. */
export async function packAll(): Promise<{ readonly where: string; readonly packed: readonly Packed[] }> {
  const where = mkdtempSync(join(tmpdir(), 'haldir-packed-'))
  await succeed(join(root, 'node_modules/.bin/tsc'), ['-b', ...published.map(({ folder }) => folder)], root)
  const filters = published.flatMap(({ source }) => ['--filter', source.name])
  await succeed('npx', [...PNPM, ...filters, '-r', 'pack', '--pack-destination', where], root)
  const packed: Packed[] = []
  for (const { folder, source } of published) {
    const name = `${source.name.replace('@', '').replace('/', '-')}-${source.version}`
    const tarball = join(where, `${name}.tgz`)
    const unpacked = join(where, name)
    mkdirSync(unpacked)
    await succeed('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1'], root)
    packed.push({
      name: source.name,
      folder,
      source,
      tarball,
      unpacked,
      files: filesIn(unpacked),
      manifest: manifestAt(unpacked),
    })
  }
  return { where, packed }
}

/** Paths of all files in a folder, with forward slashes, in order. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) =>
      join(found.parentPath, found.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort()
}

function manifestAt(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}
