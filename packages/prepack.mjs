/**
 * Runs before a package is packed. Plain JavaScript, for whatever Node the package manager runs on.
 *
 * Only pnpm makes a package right: it turns `catalog:` and `workspace:` into versions and takes `exports` from
 * `publishConfig`. Any other would publish what nobody can install, so it is stopped here.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

if (!process.env.npm_config_user_agent?.startsWith('pnpm/')) {
  console.error('Packages are packed and published with pnpm: see `Releasing` in CONTRIBUTING.md.')
  process.exit(1)
}
if (!existsSync('dist/index.js')) {
  console.error('There is no `dist` to pack: run `npm run build` first.')
  process.exit(1)
}

// The compiler leaves behind what it made of a source that is gone by now; it must not be published.
for (const path of readdirSync('dist', { recursive: true })) {
  const source = /^(.*?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(String(path))?.[1]
  if (source && !existsSync(join('src', `${source}.ts`))) rmSync(join('dist', String(path)))
}
