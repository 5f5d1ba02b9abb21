/** Entries as detectors see them: while they are written, and read back later. */
import type { Draft } from '../chain.ts'
import type { Entry } from '../entry.ts'
import type { Observation, Spent } from './signal.ts'

/**
 * The rule of what is set aside ahead, such as for the tokens of a model: an intent, too, but the application's doing,
 * the same each time, and no call of a tool.
 */
export const AHEAD = 'session:spending'
/** What is refused for a signal raises none. */
const OWN = 'signal:'

/** `undefined`: of no interest, or nobody's doing. */
export function observedDraft(draft: Draft, at: number): Observation | undefined {
  const { type, about, spent } = draft
  if (type !== 'intent' && type !== 'refusal' && type !== 'outcome') return undefined
  const session = about?.session
  if (!session || isOurs(type, draft.rule)) return undefined
  return {
    at,
    type,
    tenant: session.tenant,
    agent: session.agent,
    session: session.id,
    tool: about.tool?.name,
    code: draft.code,
    digest: about.digest,
    spent:
      spent && spent.length > 0 ? spent.map(({ unit, micros }) => ({ unit, amount: Number(micros) / 1e6 })) : undefined,
  }
}

/** The same of an entry that was read. What is garbled is no observation. */
export function observedEntry(entry: Entry): Observation | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { type, tenant, agent, session, tool, code, digest, rule } = entry
  if (type !== 'intent' && type !== 'refusal' && type !== 'outcome') return undefined
  if (![tenant, agent, session].every((text) => typeof text === 'string')) return undefined
  if (isOurs(type, text(rule))) return undefined
  const at = typeof entry.at === 'string' ? Date.parse(entry.at) : Number.NaN
  if (!Number.isFinite(at)) return undefined
  return {
    at,
    type,
    tenant: tenant as string,
    agent: agent as string,
    session: session as string,
    tool: text(tool),
    code: text(code),
    digest: text(digest),
    spent: amountsOf(entry.spent),
  }
}

function isOurs(type: string, rule: string | undefined): boolean {
  return type === 'intent' ? rule === AHEAD : type === 'refusal' && rule?.startsWith(OWN) === true
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function amountsOf(spent: unknown): readonly Spent[] | undefined {
  if (!Array.isArray(spent) || spent.length === 0) return undefined
  return spent.flatMap((one: { unit?: unknown; amount?: unknown } | null) => {
    const amount = Number(one?.amount)
    return typeof one?.unit === 'string' && Number.isFinite(amount) ? [{ unit: one.unit, amount }] : []
  })
}
