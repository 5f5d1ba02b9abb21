/** The tests as mutation testing runs them: every package from the sandbox's source, few runs of a property, one thread. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { sourceOf } from './sources.ts'

const root = join(import.meta.dirname, '../..')

function ownSources(): Plugin {
  return { name: 'own-sources', enforce: 'pre', resolveId: (id, importer = '') => sourceOf(root, id, importer) }
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
    // These prove contracts, not the code that keeps them.
    exclude: ['test/contracts/*-broken.test.ts'],
    // Modules are loaded once for each mutant, not once for each file of tests.
    isolate: false,
    setupFiles: [join(import.meta.dirname, 'apart.ts')],
    sequence: { sequencer: NearestFirst },
    // A promise that a mutant leaves open is a test that fails, after this long.
    testTimeout: 6_000,
    hookTimeout: 6_000,
  },
})
