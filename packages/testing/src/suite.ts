/** What the suites for sinks and guards share: their cases, and what it takes to leave one out. */
import { describe, expect, test } from 'vitest'

/** One promise; its title says what is promised. */
export interface Case<Scene> {
  readonly title: string
  /** What the driver or the subject must offer for it, by name. */
  readonly needs?: readonly string[]
  run(scene: Scene): Promise<void>
}

export type Chapters<Scene> = Readonly<Record<string, readonly Case<Scene>[]>>

export interface Suite<Scene> {
  readonly title: string
  readonly chapters: Chapters<Scene>
  /** A subject of its own for each case. */
  open(): Promise<{ readonly scene: Scene; close(): Promise<void> }>
  /** Whether what a case needs is there. */
  offers(scene: Scene, need: string): boolean
  /** What a driver leaves out only with a reason. */
  readonly accounted: readonly string[]
  readonly skip?: Readonly<Record<string, string>> | undefined
  readonly lacks?: Readonly<Record<string, string>> | undefined
}

/** Registers a suite with vitest. What is left out is shown as skipped, with the reason for it. */
export function register<Scene>(suite: Suite<Scene>): void {
  const { title, chapters, skip = {}, lacks = {}, accounted } = suite
  describe(title, () => {
    for (const [chapter, cases] of Object.entries(chapters)) {
      describe(chapter, () => {
        for (const one of cases) {
          const reason = skip[one.title]
          if (reason !== undefined) test.skip(`${one.title} (skipped: ${reason})`, () => {})
          else {
            test(one.title, async ({ skip: leaveOut }) => {
              const { scene, close } = await suite.open()
              try {
                const missing = one.needs?.find((need) => !suite.offers(scene, need))
                if (missing !== undefined) leaveOut(lacks[missing] ?? `there is no \`${missing}\``)
                await one.run(scene)
              } finally {
                await close()
              }
            })
          }
        }
      })
    }

    test('what is left out exists, and has a written reason', async () => {
      const titles = new Set(Object.values(chapters).flatMap((cases) => cases.map((one) => one.title)))
      for (const left of Object.keys(skip)) expect(titles.has(left), `there is no case \`${left}\``).toBe(true)
      for (const [left, reason] of Object.entries({ ...skip, ...lacks })) {
        expect(reason.length, `\`${left}\` is left out without a reason`).toBeGreaterThan(10)
      }
      const { scene, close } = await suite.open()
      try {
        for (const need of Object.keys(lacks)) expect(accounted, `\`${need}\` can not be lacking`).toContain(need)
        for (const need of accounted) {
          const said = need in lacks
          expect(suite.offers(scene, need), `\`${need}\` is ${said ? 'there after all' : 'missing: say why'}`).toBe(
            !said,
          )
        }
      } finally {
        await close()
      }
    })
  })
}

/** Waits, but no longer than a governed call would. */
export async function inTime<T>(work: T | PromiseLike<T>, what: string, ms = 5_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Timers set while `work` runs that are still set afterwards and keep the process alive. */
export async function timersLeftBy(work: () => Promise<void>): Promise<number> {
  const { setTimeout: once, setInterval: again, setImmediate: turn } = globalThis
  const set = new Set<NodeJS.Timeout>()
  const watched = (real: typeof once) =>
    ((callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer = real(() => {
        if (real === once) set.delete(timer)
        callback(...args)
      }, ms)
      set.add(timer)
      return timer
    }) as typeof once
  globalThis.setTimeout = watched(once)
  globalThis.setInterval = watched(again as unknown as typeof once) as unknown as typeof again
  try {
    await work()
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => turn(resolve))
  } finally {
    globalThis.setTimeout = once
    globalThis.setInterval = again
  }
  // A timer that was cleared is not among what the process waits for any more.
  return [...set].filter((timer) => timer.hasRef() && !isCleared(timer)).length
}

function isCleared(timer: NodeJS.Timeout): boolean {
  return (timer as NodeJS.Timeout & { readonly _destroyed?: boolean })._destroyed === true
}
