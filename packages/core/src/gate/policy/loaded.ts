/** A policy in force: compiled, and held against the tools it is used on. */
import type { GovernedTool } from '../../governor.ts'
import type { CompiledPolicy } from './compile.ts'
import { type Misfit, misfits } from './misfits.ts'

export class LoadedPolicy {
  readonly compiled: CompiledPolicy
  readonly #misfits = new WeakMap<GovernedTool, readonly Misfit[]>()

  constructor(compiled: CompiledPolicy) {
    this.compiled = compiled
  }

  get hash(): string {
    return this.compiled.hash
  }

  /** Paths of rules for this very tool that its schema does not know; worked out once for each tool. */
  misfits(tool: GovernedTool): readonly Misfit[] {
    let found = this.#misfits.get(tool)
    if (!found) {
      found = tool.schema === undefined ? [] : misfits(this.compiled, tool as { name: string; schema: unknown })
      this.#misfits.set(tool, found)
    }
    return found
  }
}
