/**
 * The question every contestant answers: may this agent call this tool with this amount? The rules and the calls are
 * the same for all, and `reference` is the answer they are held against.
 */

/** Without `agent` it is of every agent; without `over`, of every amount. */
export interface BenchRule {
  readonly id: string
  readonly tool: string
  readonly agent?: string
  /** Matches calls whose amount is greater. */
  readonly over?: number
  readonly effect: 'allow' | 'deny'
}

export interface BenchCall {
  readonly tool: string
  readonly agent: string
  readonly amount: number
}

/** The last one has no rule of its own, and so is denied everything. */
export const AGENTS = ['buyer', 'clerk', 'guest', 'auditor'] as const
const RULES_PER_TOOL = 4

/** How many calls are drawn; they are asked again and again. */
export const CALLS = 2_000

/** The first `count` of the rules: four a tool, one of which compares the amount with the tool's own limit. */
export function rulesOf(count: number): BenchRule[] {
  return Array.from({ length: count }, (_, index): BenchRule => {
    const tool = `tool_${Math.floor(index / RULES_PER_TOOL)}`
    const id = `rule_${index}`
    switch (index % RULES_PER_TOOL) {
      case 0:
        return { id, tool, over: limitOf(index / RULES_PER_TOOL), effect: 'deny' }
      case 1:
        return { id, tool, agent: 'buyer', effect: 'allow' }
      case 2:
        return { id, tool, agent: 'clerk', effect: 'allow' }
      default:
        return { id, tool, agent: 'guest', effect: 'deny' }
    }
  })
}

/** Whole numbers, in cents: Cedar knows no others. */
export function limitOf(tool: number): number {
  return 1_000 + ((tool * 7_919) % 9_000)
}

/** Random calls, the same in every run: some of a tool that has no rule, some of exactly the limit. */
export function callsOf(rules: readonly BenchRule[]): BenchCall[] {
  const tools = [...new Set(rules.map(({ tool }) => tool))]
  const random = randomFrom(42)
  return Array.from({ length: CALLS }, () => {
    const which = Math.floor(random() * tools.length)
    const limit = limitOf(which)
    const amount = random() < 0.1 ? limit : Math.floor(random() * limit * 1.5)
    const agent = AGENTS[Math.floor(random() * AGENTS.length)] as string
    return { tool: random() < 0.03 ? 'tool_unknown' : (tools[which] as string), agent, amount }
  })
}

/** Looks at every rule. Any that denies wins, then any that allows, and what no rule matches is denied. */
export function reference(rules: readonly BenchRule[], call: BenchCall): boolean {
  const matching = rules.filter(
    ({ tool, agent, over }) =>
      tool === call.tool && (agent === undefined || agent === call.agent) && (over === undefined || call.amount > over),
  )
  return matching.length > 0 && matching.every(({ effect }) => effect === 'allow')
}

/** A linear congruential generator: enough to mix calls, and no run differs from another. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
