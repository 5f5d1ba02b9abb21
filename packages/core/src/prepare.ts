/** What a framework's own gate may ask before a call: steps 1 to 3 of the path. The whole path follows all the same. */
import { waitingOf } from './approvals/asking.ts'
import { type Posed, pose } from './approvals/turn.ts'
import { fix, identify } from './before.ts'
import type { CallRequest, GovernedTool, Identity, NotRun, Prepared } from './governor.ts'
import { judged } from './judging.ts'
import { type House, Pass, type Refusal, UNFORESEEN } from './pass.ts'

/** The verdict, without taking or recording anything. */
export async function prepare(
  house: House,
  tool: GovernedTool,
  request: CallRequest,
  who: Identity,
): Promise<Prepared> {
  const pass = new Pass(house, tool, request, who)
  return foreseen(pass, await foresee(pass))
}

/** The same, for a gate that itself turns away what is denied: nothing else records that, for it never runs. */
export async function preempt(
  house: House,
  tool: GovernedTool,
  request: CallRequest,
  who: Identity,
): Promise<Prepared | NotRun> {
  const pass = new Pass(house, tool, request, who)
  const refused = await foresee(pass)
  const said = foreseen(pass, refused)
  const asks = said.verdict === 'ask' && said.suspends === true && house.approvals
  if (!asks && said.verdict !== 'deny') return said
  const unnamed = named(pass)
  if (unnamed) return pass.refuse(unnamed)
  // People are asked now: the framework does not come this far again before there is an answer.
  const posed = asks ? await pose(pass, asks) : (refused as Refusal)
  return typeof posed === 'string' ? told(pass, said, posed) : pass.refuse(posed)
}

/** The same, for a gate that can do nothing but pause: what is denied is refused, and recorded, when the call comes. */
export async function askAhead(
  house: House,
  tool: GovernedTool,
  request: CallRequest,
  who: Identity,
): Promise<Prepared> {
  const pass = new Pass(house, tool, request, who)
  const said = foreseen(pass, await foresee(pass))
  const { approvals } = house
  if (said.verdict !== 'ask' || !said.suspends || !approvals) return said
  const posed = named(pass) ?? (await pose(pass, approvals))
  return typeof posed === 'string' ? told(pass, said, posed) : foreseen(pass, posed)
}

/** Whether calls of a tool pause for people, where one has to decide. */
export function suspends(house: House, tool: GovernedTool): boolean {
  return !house.shadow && house.approvals !== undefined && waitingOf({ house, tool }) === 'suspend'
}

/**
 * Where somebody has said yes to all calls of its kind, this one need not pause. Nor where the question is over, as that
 * of a call whose id comes back is: nobody would ever wake it, and it is told what became of it when it comes.
 */
function told(pass: Pass, said: Prepared, posed: Posed): Prepared {
  // Its framework pauses, and nothing else tells of that; but only once, however often it comes this far.
  if (pass.asked !== undefined) pass.stopped('ask', { ...said, code: 'approval-pending' })
  if (posed === 'asked') return said
  if (posed === 'over') return { ...said, suspends: false }
  const { suspends: _, ...rest } = said
  return { ...rest, verdict: 'allow', reason: 'a person has allowed calls of this kind for a while' }
}

function named(pass: Pass): Refusal | undefined {
  try {
    pass.id = pass.house.ids()
    return undefined
  } catch (error) {
    pass.house.faults.note('call', error)
    return UNFORESEEN
  }
}

async function foresee(pass: Pass): Promise<Refusal | undefined> {
  try {
    return fix(pass) ?? identify(pass) ?? (await judged(pass))
  } catch (error) {
    pass.house.faults.note('call', error)
    return UNFORESEEN
  }
}

function foreseen(pass: Pass, refused: Refusal | undefined): Prepared {
  const digest = pass.digest === undefined ? {} : { digest: pass.digest }
  // Hostile arguments are refused in shadow mode, too.
  if (pass.house.shadow && pass.snapshot) return { verdict: 'allow', reason: 'shadow mode refuses nothing', ...digest }
  if (refused) return { verdict: 'deny', ...pass.shown(refused), ...digest }
  if (pass.ask) {
    const { rule, reason } = pass.shown(pass.ask)
    const suspends = pass.house.approvals ? { suspends: waitingOf(pass) === 'suspend' } : {}
    return { verdict: 'ask', rule, reason, ...suspends, ...digest }
  }
  return { verdict: 'allow', rule: pass.rule as string, reason: 'the session may make this call', ...digest }
}
