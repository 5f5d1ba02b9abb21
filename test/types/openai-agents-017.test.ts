/** The types of `@haldir/openai/agents`, with the oldest version of the Agents SDK in its place. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = new URL('../..', import.meta.url).pathname

it('compile with 0.17', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'haldir-types-'))
  try {
    const config = {
      extends: join(root, 'tsconfig.check.json'),
      compilerOptions: {
        incremental: false,
        tsBuildInfoFile: null,
        typeRoots: [join(root, 'node_modules/@types')],
        paths: { '@openai/agents': [join(root, 'node_modules/agents017/dist/index.d.ts')] },
      },
      include: [],
      files: [join(root, 'test/types/openai-agents.test-d.ts')],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const args = [tsc, '-p', folder, '--listFiles']
    const seen = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    expect(seen).toContain('/@openai+agents@0.17.')
    expect(seen).not.toContain('/@openai+agents@0.2')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
