/** What a haldir does with the calls of governed tools: the seam, with the path behind it. */
import { answered } from './approvals/turn.ts'
import { spendAhead } from './charge.ts'
import type { GovernedTool, Governor } from './governor.ts'
import type { House } from './pass.ts'
import { permits } from './permits.ts'
import { execute, executeOrStream, stream } from './pipeline.ts'
import { askAhead, preempt, prepare, suspends } from './prepare.ts'

/** `check`: throws `ConfigError` when the policy names arguments that a tool does not have. */
export function governorOver(house: House, name: string, check: (tool: GovernedTool) => void): Governor {
  return {
    name,
    shadow: house.shadow,
    execute: (tool, request, who) => execute(house, tool, request, who),
    stream: (tool, request, who) => stream(house, tool, request, who),
    executeOrStream: (tool, request, who) => executeOrStream(house, tool, request, who),
    prepare: (tool, request, who) => prepare(house, tool, request, who),
    preempt: (tool, request, who) => preempt(house, tool, request, who),
    askAhead: (tool, request, who) => askAhead(house, tool, request, who),
    answered: (tool, ref, who) => answered(house, tool, ref, who),
    suspends: (tool) => suspends(house, tool),
    permits: (tool, session) => permits(house, tool, session),
    spend: (session, of, estimate) => spendAhead(house, session, of, estimate),
    check,
  }
}
