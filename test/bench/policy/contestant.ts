/** What takes part, and whether it answers as it must. */
import { readFileSync } from 'node:fs'
import { type BenchCall, type BenchRule, CALLS, callsOf, reference } from './rules.ts'

/** Answers the call at that index. Requests are made beforehand, in the form that the engine takes them. */
export type Decide = (index: number) => boolean

export type Engine = (rules: readonly BenchRule[], calls: readonly BenchCall[]) => Decide | Promise<Decide>

export interface Contestant {
  readonly name: string
  /** The package whose version is told. */
  readonly from?: string
  /** A floor answers a part of the question, so its answers are not checked. */
  readonly floor?: true
  readonly engine: Engine
}

/** Throws when one of its answers is not the reference's. */
export async function prepare({ engine, floor }: Contestant, rules: readonly BenchRule[]): Promise<Decide> {
  const calls = callsOf(rules)
  const decide = await engine(rules, calls)
  if (floor) return decide
  const wrong = calls.filter((call, index) => decide(index) !== reference(rules, call)).length
  if (wrong > 0) throw new Error(`differs from the reference on ${wrong} of ${CALLS} calls`)
  return decide
}

/** As installed: the packages do not export their `package.json`. */
export function versionOf(name: string): string {
  const file = new URL(`../../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** The least one can do: find what stands for the tool. */
export const mapLookup: Contestant = {
  name: 'bare Map lookup',
  floor: true,
  engine: (rules, calls) => {
    const limits = limitsOf(rules)
    return (index) => limits.get((calls[index] as BenchCall).tool) !== undefined
  },
}

/** The floor of the bar: find the limit of the tool and compare the amount with it. */
export const lookupAndCompare: Contestant = {
  name: 'Map lookup + compare',
  floor: true,
  engine: (rules, calls) => {
    const limits = limitsOf(rules)
    return (index) => {
      const { tool, amount } = calls[index] as BenchCall
      const limit = limits.get(tool)
      return limit !== undefined && amount <= limit
    }
  },
}

function limitsOf(rules: readonly BenchRule[]): Map<string, number> {
  return new Map(rules.flatMap(({ tool, over }) => (over === undefined ? [] : [[tool, over] as const])))
}
