/** An empty project of a user's, outside of this workspace, with the tarballs installed. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Packed } from './packed.ts'
import { PNPM, root, run, succeed } from './run.ts'

export type Manager = 'npm' | 'pnpm'

const { catalog } = parse(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')) as {
  catalog: Readonly<Record<string, string>>
}

/** The version that this repository is tested with, also of what stands there under another name. */
export function versionOf(name: string): string {
  const version = catalog[name]
  if (version === undefined) throw new Error(`\`${name}\` is not in the catalog`)
  return version.replace(/^npm:.+@/, '')
}

/** Whether there is a registry to install from. */
export async function registryAnswers(): Promise<boolean> {
  const args = ['view', 'zod@latest', 'version', '--prefer-online', '--fetch-retries=0', '--fetch-timeout=10000']
  const { status } = await run('npm', args, root)
  return status === 0
}

/** Makes a project in `folder` with one package manager, and the program files of `consumer/` in it. */
export async function install(
  folder: string,
  manager: Manager,
  packed: readonly Packed[],
  more: Readonly<Record<string, string>>,
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  cpSync(new URL('consumer', import.meta.url), folder, { recursive: true })
  const tarballs = Object.fromEntries(packed.map(({ name, tarball }) => [name, `file:${tarball}`]))
  const peers = packed.flatMap(({ manifest: { peerDependencies = {}, peerDependenciesMeta = {} } }) =>
    Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional),
  )
  const others = [...new Set([...peers, 'zod', '@types/node'])].filter((name) => !Object.hasOwn(tarballs, name))
  const versions = Object.fromEntries(others.map((name) => [name, versionOf(name)]))
  const manifest = { name: 'user', private: true, type: 'module', dependencies: { ...tarballs, ...versions, ...more } }
  // Versions that no registry has yet: what asks for one of our packages gets the tarball.
  const overrides =
    manager === 'npm' ? { overrides: Object.fromEntries(packed.map(({ name }) => [name, `$${name}`])) } : {}
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, ...overrides }, null, 2))
  if (manager === 'npm') {
    await succeed('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], folder)
    return
  }
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), JSON.stringify({ overrides: tarballs }))
  await succeed('npx', [...PNPM, 'install', '--prefer-offline', '--ignore-scripts'], folder)
}
