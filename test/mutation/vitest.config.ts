/** The tests as mutation testing runs them: every package from the sandbox's source, few runs of a property, one thread. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const root = join(import.meta.dirname, '../..')
const properties = join(import.meta.dirname, 'fewer-runs.ts')

/** `@haldir/core/verify` → the sandbox's own file: a link in node_modules would lead to the sources without a mutant. */
function ownSources(): Plugin {
  return {
    name: 'own-sources',
    enforce: 'pre',
    resolveId(id, importer) {
      if (id === 'fast-check' && importer !== properties) return properties
      const [, name, way = ''] = /^@haldir\/([^/]+)(\/.+)?$/.exec(id) ?? []
      if (name === undefined) return undefined
      const { exports } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
      return join(root, 'packages', name, exports[`.${way}`]['@haldir/source'])
    },
  }
}

/** The tests beside the source before those of the whole path, small before large: the first that fails ends a run. */
class NearestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const far = ({ moduleId }: TestSpecification) => Number(moduleId.startsWith(join(root, 'test')))
    const size = ({ moduleId }: TestSpecification) => readFileSync(moduleId).length
    return files.toSorted((one, other) => far(one) - far(other) || size(one) - size(other))
  }
}

const conditions = ['@haldir/source', 'node', 'module', 'import', 'default']

export default defineConfig({
  root,
  plugins: [ownSources()],
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/{acceptance,contracts}/**/*.test.ts'],
    // Modules are loaded once for each mutant, not once for each file of tests.
    isolate: false,
    setupFiles: [join(import.meta.dirname, 'apart.ts')],
    sequence: { sequencer: NearestFirst },
    // A promise that a mutant leaves open is a test that fails, after this long.
    testTimeout: 6_000,
    hookTimeout: 6_000,
  },
})
