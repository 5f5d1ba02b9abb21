/**
 * What every adapter must do, whatever its framework: a suite of cases that drive governed tools through the framework's
 * own loop. An adapter's tests call `adapterContract(driver)` once; the driver says how its framework is spoken to.
 */
import { describe, expect, it } from 'vitest'
import { aborted } from './adapter/aborted.ts'
import { awaited } from './adapter/awaited.ts'
import type { AdapterDriver } from './adapter/driver.ts'
import { gated } from './adapter/gated.ts'
import type { Cases } from './adapter/house.ts'
import { identity } from './adapter/identity.ts'
import { items } from './adapter/items.ts'
import { misfits } from './adapter/misfits.ts'
import { secrets } from './adapter/secrets.ts'
import { suspended } from './adapter/suspended.ts'
import { transparent } from './adapter/transparent.ts'

export type {
  AdapterDriver,
  Answer,
  DriveOptions,
  Loop,
  LoopOptions,
  NativePause,
  ScriptedCall,
  ToolBody,
} from './adapter/driver.ts'

/** @internal */
export const ADAPTER_CHAPTERS: Readonly<Record<string, Cases>> = {
  'the same tool, but for the gate': transparent,
  'nothing runs but what was judged and allowed': gated,
  'what does not fit': misfits,
  'whose call it is': identity,
  'ending a call': aborted,
  'tools that answer with items': items,
  'secrets stay inside': secrets,
  'a person decides, and the call waits': awaited,
  'a person decides, and the call is suspended': suspended,
}

/** Registers the suite with vitest. A case that a framework can't pass is skipped by its title, with the reason shown. */
export function adapterContract(driver: AdapterDriver): void {
  const skip = driver.skip ?? {}
  describe(`adapter contract: ${driver.framework}`, () => {
    for (const [chapter, cases] of Object.entries(ADAPTER_CHAPTERS)) {
      describe(chapter, () => {
        for (const [title, check] of Object.entries(cases)) {
          const reason = skip[title]
          if (reason === undefined) it(title, () => check(driver))
          else it.skip(`${title} (skipped: ${reason})`)
        }
      })
    }

    it('every skipped case exists and has a reason', () => {
      const titles = new Set(Object.values(ADAPTER_CHAPTERS).flatMap(Object.keys))
      for (const [title, reason] of Object.entries(skip)) {
        expect(titles.has(title), title).toBe(true)
        expect(reason.length, title).toBeGreaterThan(10)
      }
    })
  })
}
