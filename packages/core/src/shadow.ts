/**
 * Shadow mode: everything is judged, metered apart and recorded, and nothing is refused that could run. Trying Haldir
 * out must not take anything down.
 *
 * What a session does follows the same rule. Making, delegating, extending and revoking one, `charge`, `budget` and
 * payments do what the store lets them do and otherwise go on: what failed stands in `health().faults`, what would have
 * been refused in `health().observed`. `attach` then answers a session that stands for nobody, `budget` no lines. Only
 * what is written wrongly is still thrown, as `ConfigError`.
 */
import { enter, fix, unseal } from './before.ts'
import { DigestKey } from './digest-key.ts'
import { leaveOf } from './gate/leaves.ts'
import { Session, type SessionActs } from './gate/sessions.ts'
import type { Governor } from './governor.ts'
import { price } from './judge.ts'
import type { House, Pass, Refusal } from './pass.ts'
import { Redactor } from './vault/redact.ts'
import { NOBODY } from './watch/chain.ts'

/**
 * Records what would have been refused and makes the call ready to run all the same. What can't run is still refused:
 * arguments that no private copy can be made of, and secrets that the session may not have. Never throws.
 */
export async function letThrough(pass: Pass, refusal: Refusal): Promise<Refusal | undefined> {
  if ((!pass.snapshot && fix(pass)) || refusal.code === 'secret-unavailable') return refusal
  try {
    await pass.observe(refusal)
    return await makeReady(pass)
  } catch (error) {
    pass.house.faults.note('call', error)
    return pass.current ? undefined : refusal
  }
}

async function makeReady(pass: Pass): Promise<Refusal | undefined> {
  const { house, tool } = pass
  pass.session ??= (pass.belongings ? pass.who : house.nobody) as Session
  pass.belongings ??= house.belongings.get(pass.session)
  if (!pass.admitted) {
    // What it costs is recorded, but counts on no meter: they show what enforcement would have let happen.
    if (pass.amounts.length === 0) price(pass)
    pass.meters = []
    pass.charges = []
  }
  house.running.add(pass)
  if (pass.current) return undefined
  enter(pass)
  const sealed = tool.unseals.length > 0 ? await unseal(pass) : undefined
  return sealed?.code === 'secret-unavailable' ? sealed : undefined
}

/** Who acts in shadow mode when there is no session: it holds nothing and never ends. */
export function standIn(
  house: House,
  governor: Governor,
  acts: SessionActs,
  random: (bytes: number) => Uint8Array,
): Session {
  const row = {
    id: 'none',
    tokenHash: '',
    tenant: 'default',
    agent: 'unknown',
    scopes: [],
    attributes: {},
    chain: [],
    createdAt: 0,
    expiresAt: MAX_DATE,
  }
  const leftMs = Number.MAX_SAFE_INTEGER
  const session = new Session({
    row,
    token: '',
    leaves: [leaveOf(row, '')],
    governor,
    clock: house.clock,
    leftMs,
    acts,
  })
  const digestKey = new DigestKey('unkept', random(32))
  house.belongings.set(session, { fragment: NOBODY, digestKey, redactor: new Redactor(), meters: new Map() })
  return session
}

const MAX_DATE = 8.64e15
