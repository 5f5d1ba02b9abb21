import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// Tests run from source: the `@haldir/source` condition points every package at its `src`.
const conditions = ['@haldir/source', 'node', 'default']
const oldLangChain = new URL('test/versions/langchain-core-0.3/node_modules/@langchain/core', import.meta.url).pathname

const PACKAGES = 'test/packaging/*.test.ts'

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: 'forks',
    // Left to itself, a machine of two cores would use one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning', '--conditions=@haldir/source'],
    // What hangs fails; a busy machine does not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'haldir',
          include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
          exclude: ['**/node_modules/**', PACKAGES],
        },
      },
      {
        // Packs packages and installs them from a registry, which takes minutes: `npm run test:packages`.
        extends: true,
        test: { name: 'packages', include: [PACKAGES] },
      },
      {
        // The adapter imports LangChain when it runs; here, the oldest that it takes, as its user would have installed it.
        extends: true,
        resolve: { alias: { '@langchain/core': oldLangChain } },
        test: {
          name: 'langchain-core-0.3',
          include: ['test/contracts/langchain-0.3.test.ts'],
          provide: { oldLangChain: true },
        },
      },
    ],
  },
})
