import { defineConfig } from 'vitest/config'

// Tests run from source: the `@haldir/source` condition points every package at its `src`.
const conditions = ['@haldir/source', 'node', 'import', 'default']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    pool: 'forks',
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning', '--conditions=@haldir/source'],
    // What hangs fails; a busy machine does not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
