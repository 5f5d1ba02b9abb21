/**
 * The path of a call, first to last, for every framework. It is one straight line: no step calls the next, and the
 * order stands here and nowhere else. A refusal is a value; nothing here rejects but for a bug.
 *
 *   1 snapshot   2 identify   3 judge   4 admit   5 intend   6 unseal   7 run   8 settle   9 redact   10 record
 *
 * Where a person has to decide, the call takes a turn between 3 and 4.
 */
import { isIterable } from './adapter/items.ts'
import { record, redact, settle } from './after.ts'
import { mayComeBack } from './approvals/earlier.ts'
import { decide } from './approvals/turn.ts'
import { admit, argsFor, fix, identify, intend, stillLive, unseal } from './before.ts'
import { isPromise } from './clock.ts'
import { searchResult } from './credentials.ts'
import type { CurrentCall } from './current-call.ts'
import type { CallRequest, Executed, GovernedTool, Identity, NotRun, Streamed } from './governor.ts'
import { judged } from './judging.ts'
import { type House, Pass, type Refusal, UNFORESEEN } from './pass.ts'
import { letThrough } from './shadow.ts'
import { followItems } from './stream.ts'

/** The whole line, for a tool that answers once. */
export async function execute(
  house: House,
  tool: GovernedTool,
  request: CallRequest,
  who: Identity,
): Promise<Executed> {
  const pass = await start(house, tool, request, who)
  if (!(pass instanceof Pass)) return pass
  const ended = await run(pass)
  return finish(pass, ended)
}

/** The whole line, for a tool that answers with items: 7 goes on while they are read, 8 to 10 follow the last one. */
export async function stream(house: House, tool: GovernedTool, request: CallRequest, who: Identity): Promise<Streamed> {
  const pass = await start(house, tool, request, who)
  if (!(pass instanceof Pass)) return pass
  return { status: 'ran', items: followItems(pass, () => runTool(pass), finish) }
}

/** The whole line, where only its answer tells which of these a tool is: one with an iterator answers with items. */
export async function executeOrStream(
  house: House,
  tool: GovernedTool,
  request: CallRequest,
  who: Identity,
): Promise<Executed | Streamed> {
  const pass = await start(house, tool, request, who)
  if (!(pass instanceof Pass)) return pass
  const ended = await run(pass)
  if (ended.status !== 'ran' || !isIterable(ended.value)) return finish(pass, ended)
  return { status: 'ran', items: followItems(pass, () => ended.value, finish, true) }
}

/** Steps 1 to 6. Answers the pass, ready to run, or what the caller is told instead. */
async function start(house: House, tool: GovernedTool, request: CallRequest, who: Identity): Promise<Pass | NotRun> {
  const pass = new Pass(house, tool, request, who)
  // Here, where nothing was awaited yet: what is active for the caller is what its span belongs to.
  pass.report = house.reports?.call()
  let refusal: Refusal | undefined
  try {
    pass.id = house.ids()
    refusal = await gate(pass)
    if (!refusal && request.signal?.aborted) return await pass.abandon(request.signal.reason)
  } catch (error) {
    house.faults.note('call', error)
    // Invariant: a step that fails in a way nobody foresaw refuses, too.
    refusal = UNFORESEEN
  }
  // Shadow mode: what would have been refused is recorded, and runs, unless nothing sane could run.
  if (refusal && house.shadow) refusal = await letThrough(pass, refusal)
  if (refusal?.aborted) return pass.leave(request.signal?.reason, refusal)
  return refusal ? pass.refuse(refusal) : pass
}

async function gate(pass: Pass): Promise<Refusal | undefined> {
  // 1 snapshot: what is judged, hashed, recorded and run all come from one private copy.
  const hostile = fix(pass)
  if (hostile) return hostile

  // 2 identify: no live session, no access.
  const nobody = identify(pass)
  if (nobody) return nobody

  // 3 judge: pure and synchronous, but for guards and detectors; nothing is taken yet.
  const judging = judged(pass)
  const denied = isPromise(judging) ? await judging : judging
  if (denied) return denied

  // The turn, where a person has to decide, or was asked about this very call before. Then 3 is done again.
  const asks = pass.ask !== undefined || pass.request.approval !== undefined || mayComeBack(pass)
  const undecided = asks ? await decide(pass) : undefined
  if (undecided) return undecided

  // 4 admit: one atomic step of the store takes everything, or nothing.
  const full = await admit(pass)
  if (full) return full

  // 5 intend. Invariant: nothing runs without an accepted intent entry.
  const unwritten = await intend(pass)
  if (unwritten) return unwritten

  // 6 unseal: the secrets that the tool names, and no others.
  const sealed = pass.tool.unseals.length > 0 ? await unseal(pass) : undefined
  if (sealed) return sealed

  // Time has passed since step 2: what ended meanwhile does not run.
  return stillLive(pass.session)
}

/** 7 run: the original tool, with what was judged. */
async function run(pass: Pass): Promise<Executed> {
  try {
    return { status: 'ran', value: await runTool(pass) }
  } catch (error) {
    return { status: 'failed', error }
  }
}

function runTool(pass: Pass): unknown {
  // Invariant: the tool gets a private copy of the very snapshot that was judged, with secrets at the paths it names.
  return pass.inside(pass.tool.run, argsFor(pass), pass.current as CurrentCall, pass.request.context)
}

/** Steps 8 to 10. The tool has run: from here on nothing may undo or hide that, but for a secret in its result. */
async function finish(pass: Pass, ended: Executed): Promise<Executed> {
  // 8 settle: the true cost, or all that was held, or nothing.
  await settle(pass, ended)

  // 9 redact: secrets revealed in this session leave in no result and no error; others, only when that is allowed.
  const redacted = redact(pass, ended)
  const shown = pass.house.detection?.results ? await searchResult(pass, redacted) : redacted

  // 10 record: the outcome, whatever it was.
  await record(pass, ended, shown)
  return shown
}
