/**
 * OPA, compiled to WebAssembly. Only `opa build` makes such a module, so OPA takes part where its binary is on the PATH.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadPolicy } from '@open-policy-agent/opa-wasm'
import type { Contestant } from './contestant.ts'
import type { BenchRule } from './rules.ts'

/** The rules are data, in objects found by tool and agent: WebAssembly modules of OPA index no rules by themselves. */
const REGO = `package bench

import rego.v1

default allow := false

allow if {
  data.allowed[input.tool][input.agent]
  not deny
}

deny if data.denied[input.tool][input.agent]

deny if input.amount > data.limits[input.tool]
`

/** Absent where there is no `opa`. */
export function opa(): Contestant | undefined {
  const { error, status } = spawnSync('opa', ['version'])
  if (error || status !== 0) return undefined
  const wasm = build()
  return {
    name: 'OPA, WebAssembly',
    from: '@open-policy-agent/opa-wasm',
    engine: async (rules, calls) => {
      const policy = await loadPolicy(wasm)
      policy.setData(dataOf(rules))
      return (index) => (policy.evaluate(calls[index]) as unknown as { result: unknown }[])[0]?.result === true
    },
  }
}

function build(): Buffer<ArrayBuffer> {
  const cwd = mkdtempSync(join(tmpdir(), 'haldir-opa-'))
  try {
    writeFileSync(join(cwd, 'bench.rego'), REGO)
    run('opa', ['build', '-t', 'wasm', '-e', 'bench/allow', 'bench.rego'], cwd)
    run('tar', ['-xzf', 'bundle.tar.gz', '/policy.wasm'], cwd)
    return readFileSync(join(cwd, 'policy.wasm'))
  } finally {
    rmSync(cwd, { recursive: true })
  }
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args[0]} failed: ${stderr?.split('\n')[0]}`)
}

function dataOf(rules: readonly BenchRule[]) {
  const allowed: Record<string, Record<string, true>> = {}
  const denied: Record<string, Record<string, true>> = {}
  const limits: Record<string, number> = {}
  for (const { tool, agent, over, effect } of rules) {
    if (agent === undefined) limits[tool] = over as number
    else {
      const table = effect === 'allow' ? allowed : denied
      table[tool] = { ...table[tool], [agent]: true }
    }
  }
  return { allowed, denied, limits }
}
