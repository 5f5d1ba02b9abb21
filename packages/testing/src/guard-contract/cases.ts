/** What every guard keeps. */
import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { GuardAnswer, GuardCall, HaldirOptions } from '@haldir/core'
import { expect } from 'vitest'
import { fakeClock } from '../clock.ts'
import { timersLeftBy } from '../suite.ts'
import type { GuardCase, SampleCall } from './scene.ts'

const WHOLE = { depth: 64, maxArrayLength: null, maxStringLength: null, showHidden: true } as const

/** A policy that says this of every call. */
function policy(then: 'allow' | 'ask' | 'deny'): HaldirOptions {
  return { policy: { default: 'deny', rules: [{ id: 'rule', then }] } }
}

/** Calls that say nothing to anybody; whether they are refused is the guard's affair. */
const ODD: readonly SampleCall[] = [
  { tool: 'unheard.of/tool:1' },
  { tool: 'x', args: { list: [null, [], {}, 0, false], deep: { deep: { deep: { deep: 1 } } } } },
  { tool: 'x', args: { text: 'Zoë 🧾\u2028\u0000" \\ $x {{secret}}'.repeat(5_000) } },
  { tool: 'x', args: { __id: 1, constructor: 'x', toString: 'y', 'a.b/c~d': { length: -1 } } },
  { tool: 'x', args: { at: new Date(0), to: new URL('https://example.com'), many: 2n ** 70n } },
]

export const SAYING: readonly GuardCase[] = [
  {
    title: 'it allows what it should, and refuses and asks what it should, in time',
    async run(scene) {
      const { allowing, refusing } = scene.opened
      expect(allowing.length, 'at least one call that it allows').toBeGreaterThan(0)
      expect(refusing.length, 'at least one call that it refuses').toBeGreaterThan(0)
      scene.expectCame(await scene.come(scene.samples.map(({ call }) => call)))
    },
  },
  {
    title: 'it says the same of the same call every time, whatever it was asked before',
    async run(scene) {
      const samples = Array.from({ length: 5 }, (_, round) =>
        round % 2 === 0 ? scene.samples : scene.samples.toReversed(),
      ).flat()
      for (const sample of samples) scene.expectCame(await scene.come([sample.call]), [sample])
    },
  },
  {
    title: 'it keeps calls apart that it is asked of at once',
    async run(scene) {
      const samples = Array.from({ length: 20 }, () => scene.samples).flat()
      scene.expectCame(await scene.come(samples.map(({ call }) => call)), samples)
    },
  },
  {
    title: 'a call that it can make nothing of does not bring it down',
    async run(scene) {
      const came = await scene.come(ODD)
      for (const one of came) if (one !== 'ran') expect(one.message).not.toContain('\n')
      scene.expectCame(await scene.come(scene.samples.map(({ call }) => call)))
    },
  },
]

export const STRICTER: readonly GuardCase[] = [
  {
    title: 'what a rule denies it does not allow',
    async run(scene) {
      const came = await scene.come(scene.opened.allowing, policy('deny'))
      for (const one of came) expect(one).toMatchObject({ code: 'policy-denied', rule: 'rule' })
    },
  },
  {
    title: 'what a rule wants a person to decide it does not allow either, and still refuses what it refuses',
    async run(scene) {
      const { allowing, refusing } = scene.opened
      for (const one of await scene.come(allowing, policy('ask'))) {
        expect(one).toMatchObject({ code: 'approval-unavailable', rule: 'rule' })
      }
      for (const one of await scene.come(refusing, policy('ask'))) {
        expect(one).toMatchObject({ code: 'policy-denied', rule: 'guard:subject' })
      }
    },
  },
]

export const SHOWN: readonly GuardCase[] = [
  {
    title: 'it changes nothing in the call it is shown',
    async run(scene) {
      for (const { call } of scene.samples) {
        // In a real call all of it is frozen, but for dates.
        const view = await scene.viewOf(call)
        const before = inspect(view, WHOLE)
        await scene.ask(view)
        expect(inspect(view, WHOLE)).toBe(before)
      }
    },
  },
  {
    title: 'it keeps no hold of the calls it was shown',
    async run(scene) {
      const views: WeakRef<object>[] = []
      const [sample] = scene.samples
      for (let times = 0; times < 30; times++) views.push(await shown())
      const collect = collector()
      let held = views.length
      // One or two it may remember; not all.
      for (let turns = 0; turns < 20 && held > 2; turns++) {
        await new Promise((resolve) => setImmediate(resolve))
        collect()
        held = views.filter((view) => view.deref()).length
      }
      expect(held).toBeLessThanOrEqual(2)

      async function shown(): Promise<WeakRef<object>> {
        const view = await scene.viewOf(sample?.call as SampleCall)
        await scene.ask(view)
        return new WeakRef(view.args as object)
      }
    },
  },
  {
    title: 'its reasons are one line, and repeat no argument',
    async run(scene) {
      for (const { call } of scene.samples) {
        const reason = reasonOf(await scene.ask(await scene.viewOf(call)))
        expect(reason).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
        expect(reason.length).toBeLessThanOrEqual(500)
        for (const text of textsOf(call.args)) expect(reason, `of ${call.tool}`).not.toContain(text)
      }
    },
  },
]

export const FAILING: readonly GuardCase[] = [
  {
    title: 'what it can not ask about is refused, and allowed again afterwards',
    needs: ['break'],
    async run(scene) {
      const calls = scene.samples.map(({ call }) => call)
      scene.expectCame(await scene.come(calls))
      await scene.opened.break?.()
      for (const one of await scene.come(calls)) {
        expect(one, 'a call while what the guard asks is down').not.toBe('ran')
        expect(one).toMatchObject({
          rule: 'guard:subject',
          code: expect.stringMatching(/^(unavailable|policy-denied)$/),
        })
      }
      await scene.opened.mend?.()
      scene.expectCame(await scene.come(calls))
    },
  },
  {
    title: 'an answer that comes too late changes nothing',
    async run(scene) {
      const [call] = scene.opened.allowing
      const clock = fakeClock()
      const answered = Promise.withResolvers<void>()
      let late: GuardAnswer | undefined
      const came = scene.come([call as SampleCall], { clock }, async (view, options) => {
        await answered.promise
        late = await scene.decide(view, options)
        return late
      })
      await clock.advance(1_000)
      const [one] = await came
      expect(one).toMatchObject({ code: 'unavailable', rule: 'guard:subject' })
      answered.resolve()
      // It is told that nobody waits any more: it may give up, or answer nobody.
      await clock.advance(0)
      expect(clock.timers).toBe(0)
    },
  },
  {
    title: 'told that nobody waits any more it ends, and it leaves no listener on the signal',
    async run(scene) {
      for (const { call } of scene.samples) {
        const view = await scene.viewOf(call)
        for (const when of ['before', 'meanwhile', 'never']) {
          const controller = new AbortController()
          if (when === 'before') controller.abort()
          const answer = scene.ask(view, controller.signal)
          if (when === 'meanwhile') controller.abort()
          const settled = await answer.then(
            () => undefined,
            (error: unknown) => error,
          )
          // It may reject, but not because time ran out.
          expect(String(settled), when).not.toContain('did not answer within')
          expect(getEventListeners(controller.signal, 'abort'), when).toEqual([])
        }
      }
    },
  },
  {
    title: 'it leaves no timer',
    async run(scene) {
      const views: GuardCall[] = []
      for (const { call } of scene.samples) views.push(await scene.viewOf(call))
      const { signal } = new AbortController()
      const timers = await timersLeftBy(async () => {
        for (const view of views) await scene.decide(view, { signal })
      })
      expect(timers).toBe(0)
    },
  },
]

function reasonOf(answer: GuardAnswer): string {
  return typeof answer === 'object' && typeof answer.reason === 'string' ? answer.reason : ''
}

/** Every text and number in arguments that is long enough to be told from chance. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(textsOf)
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  return text.length > 2 ? [text] : []
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
