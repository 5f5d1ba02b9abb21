/**
 * Step 3 as a whole: what the path judges a call by, once more after a person's yes, and what a framework's own gate is
 * told ahead. It stands here once, so that these can't differ.
 */
import type { MaybePromise } from './clock.ts'
import { searchArguments } from './credentials.ts'
import { guard, judge, price } from './judge.ts'
import type { Pass, Refusal } from './pass.ts'

/** Pure and synchronous, but for guards and detectors; takes nothing. Whether a person has to decide, `pass.ask` says. */
export function judged(pass: Pass): MaybePromise<Refusal | undefined> {
  const denied = judge(pass)
  if (denied) return denied
  const { guards, detection } = pass.house
  return guards.length > 0 || detection?.arguments ? judgedOutside(pass) : price(pass)
}

async function judgedOutside(pass: Pass): Promise<Refusal | undefined> {
  const { guards, detection } = pass.house
  const guarded = guards.length > 0 ? await guard(pass) : undefined
  if (guarded) return guarded
  const exposed = detection?.arguments ? await searchArguments(pass) : undefined
  return exposed ?? price(pass)
}
