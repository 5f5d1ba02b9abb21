/** Paths of rules that the tool they name does not take: a misspelt one must be found before it is relied on. */
import type { CompiledPolicy } from './compile.ts'
import { namesExactly, readsOf } from './reads.ts'
import { type Located, locate } from './schema-paths.ts'

/** A path of a rule that a tool it names does not take. */
export interface Misfit {
  /** Id of the rule. */
  readonly rule: string
  /** The path as the rule has it. */
  readonly path: string
  /** Where it stands in the policy: `rules.3.when.args.amount.gt`. */
  readonly at: string
  readonly message: string
}

/**
 * The paths that a tool's schema does not know, of rules that name the tool. A rule that reaches it by a wildcard, or
 * as one of all tools, is written for many and may well ask for what this one lacks.
 */
export function misfits(
  compiled: CompiledPolicy,
  tool: { readonly name: string; readonly schema: unknown },
): readonly Misfit[] {
  const found: Misfit[] = []
  for (const compiledRule of compiled.rules) {
    const { rule } = compiledRule
    if (!namesExactly(rule.tools, tool.name)) continue
    // A name that is not there is told once, not for each test of it or of what would stand below.
    const told = new Set<string>()
    for (const { path, at, keys } of readsOf(compiledRule)) {
      if (keys === undefined) continue
      const located = locate(tool.schema, keys)
      if (located.kind !== 'unknown' || told.has(located.at)) continue
      told.add(located.at)
      found.push({ rule: rule.id, path: path.text, at, message: misfitMessage(rule.id, path.text, tool.name, located) })
    }
  }
  return found
}

export function misfitMessage(
  rule: string,
  path: string,
  tool: string,
  { at, near }: Located & { kind: 'unknown' },
): string {
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  return `the rule \`${rule}\` reads \`${path}\`, but the tool \`${tool}\` has no argument \`${at}\`${hint}`
}
