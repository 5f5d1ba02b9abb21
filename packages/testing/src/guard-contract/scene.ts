import {
  createHaldir,
  type Denied,
  type Guard,
  type GuardAnswer,
  type GuardCall,
  type HaldirOptions,
  type MaybePromise,
  type PolicyClient,
  policyGuard,
} from '@haldir/core'
import { governTool, type ToolAnnotations } from '@haldir/core/adapter'
import { memorySink } from '@haldir/core/sinks/memory'
import { expect } from 'vitest'
import { type Case, inTime } from '../suite.ts'

/** A call whose verdict the driver knows. */
export interface SampleCall {
  readonly tool: string
  readonly args?: object
  readonly annotations?: ToolAnnotations
  /** Whose call it is: agent `contract` in tenant `contract`, without scopes and attributes, unless given. */
  readonly session?: {
    readonly agent?: string
    readonly tenant?: string
    readonly scopes?: readonly string[]
    readonly attributes?: Readonly<Record<string, unknown>>
  }
}

/** What a test of the contract gets: a guard of its own, and calls with known verdicts. */
export interface OpenedGuard {
  /** As it would stand in `guards`: a function, an object with `decide`, a policy client. */
  readonly guard: Guard
  readonly allowing: readonly SampleCall[]
  readonly refusing: readonly SampleCall[]
  /** Calls that a person has to decide. */
  readonly asking?: readonly SampleCall[]
  /** From now on what the guard itself asks can't be reached: its server is down. */
  break?(): MaybePromise<void>
  /** It can again. */
  mend?(): MaybePromise<void>
  close?(): MaybePromise<void>
}

export type GuardCase = Case<GuardScene>

/** What came of a call: `ran`, or the denial. */
export type Came = 'ran' | Denied

type Decide = (call: GuardCall, options: { readonly signal: AbortSignal }) => MaybePromise<GuardAnswer>

/** A guard under test: asked by a haldir, or alone. */
export class GuardScene {
  readonly opened: OpenedGuard
  readonly decide: Decide

  constructor(opened: OpenedGuard) {
    this.opened = opened
    this.decide = decideOf(opened.guard)
  }

  /** Every sample with the verdict it should get. */
  get samples(): readonly { readonly call: SampleCall; readonly verdict: 'allow' | 'deny' | 'ask' }[] {
    const { allowing, refusing, asking = [] } = this.opened
    return [
      ...allowing.map((call) => ({ call, verdict: 'allow' as const })),
      ...refusing.map((call) => ({ call, verdict: 'deny' as const })),
      ...asking.map((call) => ({ call, verdict: 'ask' as const })),
    ]
  }

  /** Makes these calls at once, in a haldir that has this guard under the name `subject`, and no one to ask. */
  async come(calls: readonly SampleCall[], options: HaldirOptions = {}, decide: Decide = this.decide): Promise<Came[]> {
    const guard: Guard = { name: 'subject', decide: decide as Extract<Guard, { decide: unknown }>['decide'] }
    const haldir = createHaldir({ sinks: [memorySink()], guards: [guard], ...options })
    try {
      return await Promise.all(
        calls.map(async ({ tool: name, args = {}, annotations, session: who }) => {
          const session = await haldir.createSession({ agent: 'contract', tenant: 'contract', scopes: [], ...who })
          let ran = 0
          const options = { scope: [], ...(annotations && { annotations }) }
          const tool = governTool({ framework: 'contract', name, options, run: () => ++ran }, { session })
          const { status, ...rest } = await tool.execute({ args })
          // Whatever is said of a call, its tool ran exactly if it was allowed.
          expect(ran).toBe(status === 'ran' ? 1 : 0)
          if (status === 'ran') return 'ran'
          if (status !== 'denied') throw new Error(`a call of \`${name}\` was ${status}`)
          return (rest as { denial: Denied }).denial
        }),
      )
    } finally {
      await haldir.close()
    }
  }

  /** Asserts what came of the samples, in their order. */
  expectCame(came: readonly Came[], samples: GuardScene['samples'] = this.samples): void {
    const codes = { allow: 'ran', deny: 'policy-denied', ask: 'approval-unavailable' }
    expect(came.map(told)).toEqual(
      samples.map(({ call, verdict }, index) => {
        const by = verdict === 'allow' ? '' : ' by guard:subject'
        return `${index} ${call.tool}: ${codes[verdict]}${by}`
      }),
    )

    function told(one: Came, index: number): string {
      const what = one === 'ran' ? one : `${one.code} by ${one.rule}`
      return `${index} ${samples[index]?.call.tool}: ${what}`
    }
  }

  /** The call as a guard is shown it, but for that nothing in it is frozen. */
  async viewOf({ tool, ...rest }: SampleCall): Promise<GuardCall> {
    let view: GuardCall | undefined
    await this.come([{ tool, ...rest }], {}, (call) => {
      view = copyOf(call) as GuardCall
      return 'deny'
    })
    return view as unknown as GuardCall
  }

  /** Asks the guard alone. Rejects when it does, or takes longer than it has. */
  async ask(view: GuardCall, signal: AbortSignal = new AbortController().signal): Promise<GuardAnswer> {
    return inTime(this.decide(view, { signal }), 'the guard', 1_000)
  }
}

/** Stands in `guards` of a haldir in three shapes. */
function decideOf(guard: Guard): Decide {
  if (typeof guard === 'function') return guard
  if ('decide' in guard) return guard.decide.bind(guard)
  return decideOf(policyGuard(guard as PolicyClient))
}

/** Plain data, dates and addresses, as arguments are. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return new Date(value)
  if (value instanceof URL) return new URL(value)
  if (Array.isArray(value)) return value.map(copyOf)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, copyOf(member)]))
}
