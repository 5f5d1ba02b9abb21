import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * `@haldir/core/verify` → the sandbox's own file: a link in node_modules would lead to the sources without a mutant.
 * `fast-check` → `fewer-runs.ts`, which alone imports the real one.
 */
export function sourceOf(root: string, id: string, from: string): string | undefined {
  const properties = join(root, 'test/mutation/fewer-runs.ts')
  if (id === 'fast-check') return from.replace(/\?.*$/, '').endsWith(properties) ? undefined : properties
  const [, name, way = ''] = /^@haldir\/([^/]+)(\/.+)?$/.exec(id) ?? []
  if (name === undefined) return undefined
  const { exports } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
  return join(root, 'packages', name, exports[`.${way}`]['@haldir/source'])
}
