/** Steps 8 to 10 of the path, one function each. The tool has run, and no broken part hides its result. */
import { disregard } from './clock.ts'
import { Denied, HaldirError } from './errors.ts'
import { amountsOf, chargesOn } from './gate/meters.ts'
import type { Executed, NotRun } from './governor.ts'
import { unlimited } from './judge.ts'
import type { Amount } from './money.ts'
import type { Pass } from './pass.ts'

/** 8: the meters learn what it cost. Three sources, the surest first: `spent()`, `actual`, what was held. */
export async function settle(pass: Pass, ended: Executed): Promise<void> {
  const { house, id, current } = pass
  pass.report?.returned()
  const spent = costOf(pass, ended)
  current?.end()
  house.running.delete(pass)
  if (spent === 'nothing') {
    if (!pass.holding) return
    const given = await house.holds.cancel(id)
    note(pass, given)
    // Too late to give it back: it has been counted meanwhile.
    if (given?.state === 'orphaned') pass.spent = pass.amounts
    return
  }
  pass.spent = spent ?? pass.amounts
  const charges = spent && chargesOn(pass.meters, counted(pass, spent), true)
  if (!pass.holding && !charges?.length) return
  const settling = house.holds.settle(id, charges)
  note(pass, await settling)
}

/**
 * What counts on the meters. Spending in a unit that none of them counts does not make room on the others: then at
 * least what was held stays counted.
 */
function counted(pass: Pass, spent: readonly Amount[]): readonly Amount[] {
  const { amounts, notes } = pass
  if (unlimited(pass, spent) === undefined) return spent
  notes.overrun = true
  return [...spent, ...amounts.filter(({ unit }) => !spent.some((one) => one.unit === unit))]
}

/** `undefined`: what was held. */
function costOf(
  { house, tool, current, snapshot, notes }: Pass,
  ended: Executed,
): readonly Amount[] | 'nothing' | undefined {
  if (current?.reported) return current.reported
  // A payment that timed out may have gone through: a failure costs what was held, unless the tool knows better.
  if (ended.status !== 'ran') return tool.releaseOnFailure ? 'nothing' : undefined
  if (!tool.actual) return undefined
  try {
    const answer = tool.actual(ended.value, snapshot.args)
    disregard(answer)
    const actual = amountsOf(answer)
    if (actual) return actual
  } catch (error) {
    house.faults.note(`actual of ${tool.name}`, error)
    // The result is good; only its price is not known, and then what was held counts.
  }
  notes.actual = 'failed'
  return undefined
}

function note({ notes }: Pass, settlement: { readonly overrun: boolean } | undefined): void {
  if (!settlement) notes.settled = false
  else if (settlement.overrun) notes.overrun = true
}

/** 9: secrets revealed in the session are taken out; without any, the same value goes on, untouched. */
export function redact(pass: Pass, ended: Executed): Executed {
  // Invariant: what leaves the call, a result or an error, holds no secret that the session's calls were given.
  const redactor = pass.belongings?.redactor
  if (!redactor || redactor.empty || ended.status === 'denied' || ended.status === 'suspended') return ended
  const given = ended.status === 'ran' ? ended.value : ended.error
  const { value, opaque } = redactor.value(given, mustScan(pass))
  if (opaque && mustScan(pass)) return withhold(pass)
  if (value === given) return ended
  return ended.status === 'ran' ? { status: 'ran', value } : { status: 'failed', error: value }
}

/** Whether what can't be searched for secrets may not leave this call. */
export function mustScan(pass: Pass): boolean {
  return pass.revealed && !pass.tool.allowUnscanned
}

/** The tool ran, but what it answered may hold the secret it used, or another one, and can't be searched for it. */
export function withhold(pass: Pass, what = 'for the secret it used'): NotRun {
  pass.notes.withheld = true
  const reason = `the tool ran, but its result can not be searched ${what} and was withheld`
  return { status: 'denied', denial: new Denied('unavailable', reason, pass.id) }
}

/** 10: the outcome. */
export async function record(pass: Pass, ended: Executed, shown: Executed): Promise<void> {
  const { house, spent, notes } = pass
  const failed = ended.status === 'failed'
  const error = failed ? kindOf(pass, shown) : undefined
  pass.report?.ended({ error, spent, withheld: notes.withheld === true })
  house.reports?.spent(pass.tool.name, spent)
  const data = { ended: failed ? 'failed' : 'ok', ...(failed ? { error } : {}), ...notes }
  await house.trail.conclude(pass.draft('outcome', { spent, ...durationOf(pass), data }))
}

/** How long the tool ran; nothing, when the clock does not say. */
function durationOf({ house, began }: Pass): { durationMs?: number } {
  try {
    const took = Math.max(0, Math.round((house.clock.monotonic() - began) * 1_000) / 1_000)
    return Number.isFinite(took) ? { durationMs: took } : {}
  } catch {
    return {}
  }
}

/** What kind of error a tool threw. Its message may hold anything and is not recorded. */
function kindOf({ belongings }: Pass, shown: Executed): string {
  const error = shown.status === 'failed' ? shown.error : undefined
  try {
    const name = HaldirError.isInstance(error) ? error.code : error instanceof Error ? error.name : typeof error
    return /^[A-Za-z0-9_$.-]{1,64}$/.test(name) ? (belongings?.redactor.text(name) ?? name) : 'Error'
  } catch {
    return 'Error'
  }
}
