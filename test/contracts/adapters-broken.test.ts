/** The adapter contract notices an adapter that breaks any one of its promises: here, one for the AI SDK. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { ConfigError, Denied, Suspended } from '@haldir/core'
import { copyTool, type GovernedHandle, handleOf, type Where } from '@haldir/core/adapter'
import type { AdapterDriver } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { ADAPTER_CHAPTERS } from '../../packages/testing/src/adapter-contract.ts'
import { proves } from '../promises.ts'
import { type AnyTool, driverFor } from './ai-sdk-driver.ts'
import { type Version, versions } from './ai-sdk-versions.ts'
import { failing } from './broken.ts'

const good = driverFor(versions[0] as Version)

type Execute = (args: any, options: any) => any
type Rule = Parameters<typeof good.wrap>[1]

/** Runs one case; one that waits for ever has failed, too. */
function run(changes: Partial<AdapterDriver<AnyTool>>, title: string, ms: number): Promise<string[]> {
  const driver = { ...good, ...changes }
  const chapters = Object.fromEntries(
    Object.entries(ADAPTER_CHAPTERS).map(([chapter, cases]) => [
      chapter,
      Object.entries(cases).map(([name, check]) => ({
        title: name,
        run: () => inTime(check(driver), ms),
      })),
    ]),
  )
  return failing(
    chapters,
    async () => ({ scene: undefined, close: async () => {} }),
    () => true,
    [title],
  )
}

async function inTime(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it waits for ever')), ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** An adapter whose tools run like this: given the governed `execute`, and the tool's own. */
function executing(change: (governed: Execute, bare: Execute, rule: Rule) => Execute): Partial<AdapterDriver<AnyTool>> {
  return {
    wrap(bare, rule, where) {
      const tool = good.wrap(bare, rule, where)
      const execute = change(tool.execute as Execute, (bare.execute as Execute).bind(bare), rule)
      return copyTool(tool, { execute })
    },
  }
}

/** An adapter that governs a tool which runs like this: given the tool's own `execute`. */
function running(change: (bare: Execute) => Execute): (bare: AnyTool, rule: Rule, where?: Where) => AnyTool {
  return (bare, rule, where) =>
    good.wrap(copyTool(bare, { execute: change((bare.execute as Execute).bind(bare)) }), rule, where)
}

const outside = AsyncLocalStorage.snapshot()

/** An adapter that looks at the verdict alone. */
function verdictOnly(): Partial<AdapterDriver<AnyTool>> {
  return executing((governed, bare) => async (args, options) => {
    const session = options.context?.haldirSession
    const { verdict, reason } = await (handleOf(governed) as GovernedHandle).prepare({ args, session })
    if (verdict !== 'allow') throw new Error(`Denied (scope-missing): ${reason}`)
    return bare(args, options)
  })
}

const isDenied = (error: unknown) => Denied.isInstance(error)

/** An adapter that runs the tool itself after a refusal of this kind. */
function unless(refused: (error: unknown) => boolean): Partial<AdapterDriver<AnyTool>> {
  return executing(
    (governed, bare) => (args, options) =>
      governed(args, options).catch((error: unknown) => {
        if (refused(error)) return bare(args, options)
        throw error
      }),
  )
}

const codeOf = (error: unknown) => (Denied.isInstance(error) ? error.code : undefined)
const given = new AsyncLocalStorage<unknown>()
const kept = new AsyncLocalStorage<{ thrown?: unknown; value?: unknown }>()

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, adapter: Partial<AdapterDriver<AnyTool>>, caught: string])[] = [
  ['governs nothing', { wrap: (bare) => copyTool(bare, {}) }, 'what is refused does not run, and the loop goes on'],
  [
    'runs a tool before it is judged',
    executing((governed, bare) => async (args, options) => {
      await Promise.resolve(bare(args, options)).catch(() => {})
      return governed(args, options)
    }),
    'what is refused does not run, and the loop goes on',
  ],
  [
    'asks for the verdict, and then runs the tool itself',
    verdictOnly(),
    'when the trail accepts nothing, nothing runs',
  ],
  [
    'asks for the verdict, and leaves the rest to itself',
    verdictOnly(),
    'the intent is on record before the tool runs, the outcome after it',
  ],
  [
    'asks for the verdict, and counts on nobody else having asked',
    verdictOnly(),
    '100 parallel calls of $1 on a budget of $50: exactly 50 run',
  ],
  [
    'leaves the ambient session behind',
    executing((governed) => (args, options) => outside(() => governed(args, options))),
    'the session may be ambient',
  ],
  [
    'forgets the session it was given',
    { wrap: (bare, rule, { session: _, ...where } = {}) => good.wrap(bare, rule, where) },
    'the session may be explicit',
  ],
  [
    'reads one item ahead',
    executing(
      (governed) =>
        async function* (args, options) {
          const items = governed(args, options)[Symbol.asyncIterator]()
          for (let next = await items.next(); !next.done; ) {
            const after = items.next()
            yield next.value
            next = await after
          }
        },
    ),
    'a reader that stops early stops the tool, and the call is settled',
  ],
  [
    'runs a denied tool all the same',
    executing((governed, bare) => async (args, options) => {
      try {
        return await governed(args, options)
      } catch (error) {
        if (isDenied(error)) return bare(args, options)
        throw error
      }
    }),
    'after a session was revoked its calls are refused, and the loop goes on',
  ],
  [
    'gives the tool the arguments as they came',
    {
      wrap(bare, rule, where) {
        const inner = running((execute) => (_, options) => execute(given.getStore(), options))(bare, rule, where)
        const execute: Execute = (args, options) => given.run(args, () => (inner.execute as Execute)(args, options))
        return copyTool(inner, { execute })
      },
    },
    'what runs is what was judged, whatever the caller and the tool do to the arguments',
  ],
  [
    'judges a copy that the caller can still change',
    executing((governed) => async (args, options) => {
      await new Promise((resolve) => setImmediate(resolve))
      return governed(args, options)
    }),
    'what runs is what was judged, whatever the caller and the tool do to the arguments',
  ],
  [
    'makes plain what is hostile',
    executing((governed) => (args, options) => governed(JSON.parse(JSON.stringify(args)), options)),
    'hostile arguments do not reach the tool',
  ],
  [
    'tells a denial as a success',
    executing(
      (governed) => (args, options) =>
        governed(args, options).catch((error: unknown) => {
          if (isDenied(error)) return 'ok'
          throw error
        }),
    ),
    'what is refused does not run, and the loop goes on',
  ],
  [
    'invites the model to try again',
    executing(
      (governed) => (args, options) =>
        governed(args, options).catch((error: Error) => {
          if (isDenied(error)) throw new Error(`${error.message} Please fix your mistakes and try again.`)
          throw error
        }),
    ),
    'what is refused does not run, and the loop goes on',
  ],
  [
    'tells a denial with its stack',
    executing(
      (governed) => (args, options) =>
        governed(args, options).catch((error: Error) => {
          throw isDenied(error) ? new Error(error.stack) : error
        }),
    ),
    'without a session a call is refused',
  ],
  [
    'repeats arguments in a denial',
    executing(
      (governed) => (args, options) =>
        governed(args, options).catch((error: Error) => {
          throw isDenied(error) ? new Error(`${error.message} ${JSON.stringify(args)}`) : error
        }),
    ),
    'what is refused does not run, and the loop goes on',
  ],
  [
    'tries again by itself what was denied',
    executing((governed) => (args, options) => governed(args, options).catch(() => governed(args, options))),
    "the framework's own retry does not run a denial again",
  ],
  [
    'tells an error of its own',
    executing(
      (governed) => (args, options) =>
        governed(args, options).catch((cause: unknown) => {
          throw isDenied(cause) ? cause : new Error('the tool failed', { cause })
        }),
    ),
    "the tool's own error goes through, the same object",
  ],
  [
    'copies results',
    executing((governed) => async (args, options) => structuredClone(await governed(args, options))),
    'a result that holds no secret is the same object',
  ],
  [
    'makes text of results',
    executing((governed) => async (args, options) => JSON.stringify(await governed(args, options))),
    'the model reads what it reads from the bare tools',
  ],
  [
    'says more of a tool than it says itself',
    {
      wrap: (bare, rule, where) =>
        copyTool(good.wrap(bare, rule, where), { description: `${bare.description} (governed)` }),
    },
    'the model reads what it reads from the bare tools',
  ],
  [
    'spreads tools',
    { wrap: (bare, rule, where) => ({ ...bare, execute: good.wrap(bare, rule, where).execute }) as AnyTool },
    'every member that is not replaced stays as it is, hidden ones and accessors too',
  ],
  [
    'loses what a class has',
    { wrap: (bare, rule, where) => ({ ...bare, execute: good.wrap(bare, rule, where).execute }) as AnyTool },
    'an instance of a class runs on itself, with its private fields and its getters',
  ],
  [
    'runs a method on the copy',
    {
      wrap(bare, rule, where) {
        const { execute, ...rest } = Object.getOwnPropertyDescriptors(good.wrap(bare, rule, where))
        const copy = Object.create(Object.getPrototypeOf(bare), rest)
        const governed = execute?.value as Execute
        const calls = (args: unknown, options: unknown) => governed(args, options)
        if (Object.hasOwn(bare, 'execute')) return Object.defineProperty(copy, 'execute', { value: calls })
        const own = bare.execute as Execute
        const inner = good.wrap({ ...bare, execute: (a: any, o: any) => own.call(copy, a, o) } as AnyTool, rule, where)
        return Object.defineProperty(copy, 'execute', { value: inner.execute })
      },
    },
    'an instance of a class runs on itself, with its private fields and its getters',
  ],
  [
    'changes the tool it is given',
    {
      wrap(bare, rule, where) {
        const { execute } = good.wrap(bare, rule, where)
        return Object.assign(bare, { execute })
      },
    },
    'the original is left as it was, and still runs ungoverned',
  ],
  [
    'marks the tool it is given',
    {
      wrap(bare, rule, where) {
        const tool = good.wrap(bare, rule, where)
        Object.defineProperty(bare, Symbol.for('seen'), { value: true })
        return tool
      },
    },
    'a frozen tool can be governed',
  ],
  [
    'wraps what is wrapped',
    {
      wrap: (bare, rule, where) =>
        good.wrap(copyTool(bare, { execute: (a: any, o: any) => bare.execute?.(a, o) }), rule, where),
    },
    'a tool is not governed twice',
  ],
  [
    'lets a tool through that runs elsewhere',
    {
      wrap: (bare, rule, where) => (bare.execute ? good.wrap(bare, rule, where) : bare),
    },
    'a tool that does not run here is refused when it is wrapped',
  ],
  [
    'says of a tool of another framework only that it does not know it',
    {
      wrap(bare, rule, where) {
        if (typeof bare === 'object' && 'inputSchema' in bare) return good.wrap(bare, rule, where)
        throw new ConfigError('ungovernable', rule.name, 'this is no tool')
      },
    },
    'a tool of another framework is refused, and the package for it is named',
  ],
  ['shows every tool', { permitted: (tools) => tools }, 'only what a session could use at all is permitted'],
  [
    'shows tools that are not governed',
    {
      permitted(tools, session) {
        const governed = Object.entries(tools).filter(([, tool]) => good.wrap !== undefined && !isBare(tool))
        return good.permitted(Object.fromEntries(governed), session)
      },
    },
    'only what a session could use at all is permitted',
  ],
  [
    'loses the session that the context carries',
    executing(
      (governed) =>
        (args, { context: _, experimental_context: __, ...options }) =>
          governed(args, options),
    ),
    "the session may come in the framework's context",
  ],
  [
    'believes what the context says before it believes anything else',
    {
      wrap(bare, rule, { session: _, ...where } = {}) {
        return good.wrap(bare, rule, where)
      },
    },
    'sessions that disagree are refused',
  ],
  [
    'leaves out of the context what is no session',
    executing(
      (governed) => (args, options) =>
        governed(
          args,
          typeof options.context?.haldirSession === 'string' ? { ...options, context: undefined } : options,
        ),
    ),
    'text in the context is no session, not even an id or a token',
  ],
  [
    'stays with the first session it saw',
    {
      wrap(bare, rule, where) {
        const tool = good.wrap(bare, rule, where)
        let scope: ReturnType<typeof AsyncLocalStorage.snapshot> | undefined
        const execute: Execute = (args, options) => {
          scope ??= AsyncLocalStorage.snapshot()
          return scope(() => (tool.execute as Execute)(args, options))
        }
        return copyTool(tool, { execute })
      },
    },
    'two sessions at once do not mix',
  ],
  [
    'forgets which haldir a tool belongs to',
    { wrap: (bare, rule, { haldir: _, ...where } = {}) => good.wrap(bare, rule, where) },
    'a session of another haldir is refused',
  ],
  [
    "loses the caller's signal",
    executing(
      (governed) =>
        (args, { abortSignal: _, ...options }) =>
          governed(args, options),
    ),
    "the caller's signal reaches the running tool",
  ],
  [
    "gives the tool the caller's signal instead of the call's",
    {
      wrap(bare, rule, where) {
        const inner = running(
          (execute) => (args, options) => execute(args, { ...options, abortSignal: given.getStore() }),
        )(bare, rule, where)
        const execute: Execute = (args, options) =>
          given.run(options?.abortSignal, () => (inner.execute as Execute)(args, options))
        return copyTool(inner, { execute })
      },
    },
    'revoking the session reaches the running tool',
  ],
  [
    'looks at the signal before the gate, and records nothing of the call',
    executing(
      (governed) => (args, options) =>
        options.abortSignal?.aborted ? Promise.reject(options.abortSignal.reason) : governed(args, options),
    ),
    'a call whose caller gave up before it ran does not run',
  ],
  [
    'leaves a listener on the signal for each call',
    executing((governed) => (args, options) => {
      options.abortSignal?.addEventListener('abort', () => {})
      return governed(args, options)
    }),
    'listeners do not pile up on a signal that outlives its calls',
  ],
  [
    'makes a signal that follows two, for each call',
    executing((governed) => async (args, options) => {
      const own = new AbortController()
      const follow = () => own.abort(options.abortSignal.reason)
      options.abortSignal?.addEventListener('abort', follow)
      return governed(args, { ...options, abortSignal: own.signal })
    }),
    'nor when a tool looks at its signal after its call has ended',
  ],
  [
    "loses the framework's id of a call",
    executing(
      (governed) =>
        (args, { toolCallId: _, ...options }) =>
          governed(args, options),
    ),
    "the framework's own id of a call stands in its entries",
  ],
  [
    'runs one call after the other',
    (() => {
      let last: Promise<unknown> = Promise.resolve()
      return executing((governed) => (args, options) => {
        const mine = last.then(() => governed(args, options))
        last = mine.catch(() => {})
        return mine
      })
    })(),
    'parallel calls do not touch one another',
  ],
  [
    'takes calls with one id for one call',
    (() => {
      const known = new Map<string, Promise<unknown>>()
      return executing((governed) => (args, options) => {
        const answer = known.get(options.toolCallId) ?? governed(args, options)
        known.set(options.toolCallId, answer)
        return answer
      })
    })(),
    'the same, when the model repeats one call id for all of them',
  ],
  [
    'asks nobody, and says that somebody has said no',
    executing((governed, _, { name }) => (args, options) => {
      if (name !== 'pay') return governed(args, options)
      return Promise.reject(new Denied('approval-denied', 'nobody is here', ''))
    }),
    'what asks runs once, after a yes, and the others do not wait for it',
  ],
  [
    'runs what a person has denied',
    unless((error) => codeOf(error) === 'approval-denied'),
    'what a person denies does not run: the model reads why, and the loop goes on',
  ],
  [
    'takes no answer for a yes',
    unless((error) => codeOf(error) === 'approval-expired'),
    'when nobody answers in time it does not run, and the loop goes on',
  ],
  [
    'lets a call wait whose caller has gone',
    executing(
      (governed) =>
        (args, { abortSignal: _, ...options }) =>
          governed(args, options),
    ),
    'a caller who gives up while it waits has it called off',
  ],
  [
    'runs what was revoked while it waited',
    unless((error) => codeOf(error) === 'session-revoked'),
    'a session that is revoked while it waits has it refused, and the loop goes on',
  ],
  [
    'makes one question of two equal calls',
    (() => {
      let asked: Promise<unknown> | undefined
      return executing((governed) => (args, options) => {
        asked ??= governed(args, options)
        return asked
      })
    })(),
    'of two equal calls, each is decided by itself',
  ],
  [
    'goes on with a suspended call',
    unless((error) => Suspended.isInstance(error)),
    'a yes that only the framework knows of is none',
  ],
  [
    'believes what the framework says of a person',
    unless((error) => codeOf(error) === 'approval-denied'),
    'what a person denies does not run, whatever the framework is told; the model reads why',
  ],
  [
    'runs again what was approved once',
    unless((error) => codeOf(error) === 'duplicate-call'),
    'resumed again with what was kept, it does not run again',
  ],
  [
    'runs what was revoked while it was suspended',
    unless((error) => codeOf(error) === 'session-revoked'),
    'after its session was revoked a yes is none',
  ],
  [
    'calls a call by another name when it comes back',
    executing((governed) => (args, options) => governed(args, { ...options, toolCallId: crypto.randomUUID() })),
    'of two calls at once, only the one with a yes runs',
  ],
  [
    'does not pause',
    { wrap: (bare, rule, where) => copyTool(good.wrap(bare, rule, where), { needsApproval: undefined }) },
    'nothing runs before a yes; then it runs once, in another process',
  ],
  [
    'pauses for everything',
    { wrap: (bare, rule, where) => copyTool(good.wrap(bare, rule, where), { needsApproval: true }) },
    'what does not ask runs at once',
  ],
  [
    'answers with the iterable itself from an `async` function',
    executing((governed) => async (args, options) => governed(args, options)),
    'the model reads what it reads from the bare tool',
  ],
  [
    'reads all items before it gives out the first',
    executing(
      (governed) =>
        async function* (args, options) {
          const items: unknown[] = []
          for await (const item of governed(args, options)) items.push(item)
          yield* items
        },
    ),
    'items arrive one by one, before the tool has ended',
  ],
  [
    'starts a streaming tool when it is called',
    executing(
      (governed, bare) =>
        async function* (args, options) {
          await bare(args, options)[Symbol.asyncIterator]().next()
          yield* governed(args, options)
        },
    ),
    'a refused streaming tool does not start',
  ],
  [
    'does not tell a tool that its reader has stopped',
    executing((governed) => (args, options) => {
      const items = governed(args, options)[Symbol.asyncIterator]()
      return {
        next: () => items.next(),
        [Symbol.asyncIterator]() {
          return this
        },
      }
    }),
    'a reader that stops early stops the tool, and the call is settled',
  ],
  [
    'tells an error between items as the end',
    executing(
      (governed) =>
        async function* (args, options) {
          try {
            yield* governed(args, options)
          } catch {}
        },
    ),
    'an error after some items goes through, the same object',
  ],
  [
    'gives out a result as the tool gave it',
    {
      wrap(bare, rule, where) {
        const inner = running((execute) => async (args, options) => {
          const value = await execute(args, options)
          const here = kept.getStore()
          if (here) here.value = value
          return value
        })(bare, rule, where)
        const execute: Execute = (args, options) =>
          kept.run({}, async () => {
            await (inner.execute as Execute)(args, options)
            return kept.getStore()?.value
          })
        return copyTool(inner, { execute })
      },
    },
    'a secret does not leave in a result',
  ],
  [
    'throws an error as the tool threw it',
    {
      wrap(bare, rule, where) {
        const inner = running((execute) => async (args, options) => {
          try {
            return await execute(args, options)
          } catch (error) {
            const here = kept.getStore()
            if (here) here.thrown = error
            throw error
          }
        })(bare, rule, where)
        const execute: Execute = (args, options) =>
          kept.run({}, async () => {
            try {
              return await (inner.execute as Execute)(args, options)
            } catch (error) {
              throw kept.getStore()?.thrown ?? error
            }
          })
        return copyTool(inner, { execute })
      },
    },
    'a secret does not leave in an error, nor in its causes',
  ],
  [
    'forgets what is to be recorded',
    {
      wrap(bare, rule, where) {
        const { record: _, ...rest } = rule as Rule & { record?: unknown }
        return good.wrap(bare, rest as Rule, where)
      },
    },
    'what a tool names of its arguments is on record as it is named, and nothing else of them',
  ],
  [
    'gives out pieces as the tool gave them',
    {
      wrap(bare, rule, where) {
        const raw: unknown[] = []
        const inner = running(
          (execute) =>
            async function* (args, options) {
              for await (const item of execute(args, options)) {
                raw.push(item)
                yield item
              }
            },
        )(bare, rule, where)
        const execute: Execute = async function* (args, options) {
          for await (const _ of (inner.execute as Execute)(args, options)) yield raw.shift()
        }
        return copyTool(inner, { execute })
      },
    },
    'a secret does not leave in items, nor split over them',
  ],
]

function isBare(tool: AnyTool): boolean {
  try {
    good.wrap(tool, { name: 'probe', scope: [] })
    return true
  } catch {
    return false
  }
}

describe('an adapter that', () => {
  it.each(BROKEN)('%s is noticed', async (_, adapter, caught) => {
    proves('parts-of-your-own')
    expect(await run({}, caught, 60_000)).toEqual([])
    expect(await run(adapter, caught, 3_000)).toEqual([caught])
  })
})

it('a driver that reads no items is told which cases it has to skip', async () => {
  const { stream: _, open: __, ...without } = good
  const cases = Object.values(ADAPTER_CHAPTERS).flatMap((chapter) => Object.entries(chapter))
  const told: string[] = []
  for (const [title, check] of cases) {
    const error = await check(without).then(() => undefined, String)
    if (error?.endsWith('it skips this case, with the reason why')) told.push(title)
  }
  expect(told).toHaveLength(8)
})
