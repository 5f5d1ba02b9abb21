/** Whether a session could make any call of a tool at all: for what a model is shown, never in place of judging a call. */
import { allCover } from './gate/leaves.ts'
import { leavesRoom } from './gate/policy/room.ts'
import type { Session } from './gate/sessions.ts'
import type { GovernedTool } from './governor.ts'
import type { House } from './pass.ts'

/** Takes nothing, records nothing, asks nothing outside. */
export function permits(house: House, tool: GovernedTool, session: Session): boolean {
  // What would be refused runs in shadow mode, so the model is shown all of it.
  if (house.shadow) return true
  if (!house.open || !house.belongings.has(session) || session.over()) return false
  try {
    return mayHold(tool, session) && mayPass(house, tool, session)
  } catch (error) {
    house.faults.note('call', error)
    return true
  }
}

/** Scopes that are read from the arguments may be any. */
function mayHold(tool: GovernedTool, { leaves }: Session): boolean {
  return tool.scopes === undefined || tool.required(undefined).scopes.every((scope) => allCover(leaves, scope))
}

/** The policy has to leave room for every identity in the chain, as the strictest verdict counts. */
function mayPass({ policy, clock }: House, tool: GovernedTool, { leaves }: Session): boolean {
  if (!policy) return true
  // Then every call is refused.
  if (policy.misfits(tool).length > 0) return false
  const now = clock.now()
  return leaves.every(({ facts }) => leavesRoom(policy.compiled, { session: facts, tool: tool.facts, now }))
}
