/** The types of the package, with each older version of the OpenAI SDK in the place of `openai`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = new URL('../..', import.meta.url).pathname

it.each(['openai5', 'openai6'])('compile with %s', { timeout: 120_000 }, (name) => {
  const folder = mkdtempSync(join(tmpdir(), 'haldir-types-'))
  try {
    const package_ = join(root, 'node_modules', name)
    const config = {
      extends: join(root, 'tsconfig.check.json'),
      compilerOptions: {
        incremental: false,
        tsBuildInfoFile: null,
        typeRoots: [join(root, 'node_modules/@types')],
        paths: { openai: [join(package_, 'index.d.mts')], 'openai/*': [join(package_, '*.d.mts')] },
      },
      include: [],
      files: [join(root, 'test/types/openai-any-version.test-d.ts')],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const args = [tsc, '-p', folder, '--listFiles']
    const seen = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    // The older one is what was compiled with, and nothing else is named `openai`.
    expect(seen).toMatch(new RegExp(`/openai@${name.at(-1)}\\.`))
    expect(seen).not.toMatch(/\/openai@7\./)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
