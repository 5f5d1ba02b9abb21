/**
 * Tools that the SDK's own `tool()` has made. Their `invoke` parses the arguments, runs `execute`, and turns what that
 * throws into words for the model, all in one; the gate has to stand between. Two things that `invoke` does for the SDK's
 * runner make room for it: it calls back with what it has parsed before it runs anything, and what it throws when a
 * timeout has aborted it, it throws as it is. A tool that is not known to be made this way is never called so: it might
 * run.
 */
import { isDeepStrictEqual } from 'node:util'
import { Denied } from '@haldir/core'
import { ToolTimeoutError, tool } from '@openai/agents'

/** What the SDK tells a tool of its call. */
export interface Details {
  readonly toolCall?: { readonly callId?: string }
  readonly signal?: AbortSignal
}

export interface Invokable {
  invoke(runContext: any, text: string, details?: any): Promise<unknown>
  readonly needsApproval?: unknown
}

/** One call, as `invoke` is given it. */
export interface Invocation {
  readonly runContext: unknown
  readonly text: string
  readonly details: Details | undefined
}

/** Arguments as the tool's own parser makes them, or the error it throws. */
export type Parsed = { readonly args: unknown } | { readonly error: unknown }

export interface MadeTool {
  /** Whether the schema checks what a model writes. JSON Schema does not: the SDK only shows it to the model. */
  readonly checks: boolean
  /** Whether `needsApproval` is the developer's own function. */
  readonly asks: boolean
  /** What `execute` would be given. Runs nothing. */
  read(runContext: unknown, text: string): Promise<Parsed>
  /** Runs `execute` with these arguments in the place of what it would be given. Rejects with the error it throws. */
  run(call: Invocation, args: unknown, signal: () => AbortSignal): Promise<unknown>
  /** What the tool answers when `execute` throws this; rejects where the tool lets errors pass. Runs nothing. */
  tell(call: Invocation, error: unknown): Promise<unknown>
}

/** Of an error that stands for one that only the SDK has seen: what the SDK has made of that. */
export const ANSWER: unique symbol = Symbol('answer')

/** `undefined` for a tool that was made in another way, though it may look like one. */
export function madeTool(made: Invokable): MadeTool | undefined {
  if (!knows || sourceOf(made.invoke) !== sourceOf(SAMPLE.invoke)) return undefined
  const tried = probe(made, undefined, '""')
  let { failing, key } = tried
  const invoke = ({ runContext, text, details }: Invocation, onParsed: (args: unknown) => void, more = {}) =>
    made.invoke(runContext, text, withMembers(details, { [key as symbol]: { value: onParsed }, ...more }))
  return {
    // What checks anything takes no text in the place of an object. It has called back by now, or it never will.
    checks: tried.parsed === undefined,
    asks: typeof made.needsApproval === 'function' && sourceOf(made.needsApproval) !== sourceOf(SAMPLE.needsApproval),

    async read(runContext, text) {
      const probed = probe(made, runContext, text, failing)
      await probed.over
      failing = probed.failing
      key ??= probed.key
      return probed.parsed as Parsed
    },

    async run(call, args, signal) {
      const { [key as symbol]: heard } = (call.details ?? {}) as Record<symbol, ((args: unknown) => void) | undefined>
      const replace = (parsed: unknown): void => {
        // What is put in their place may hold secrets.
        heard?.(parsed)
        putInto(parsed, args)
      }
      let failed = false
      const look = (): AbortSignal => {
        failed ||= failing !== undefined && lineThatReads(look) === failing
        return failed ? STOPPED : signal()
      }
      const answer = await invoke(call, replace, { signal: { get: look } })
      // With two copies of the SDK in the process, the other one does not know what it was stopped with.
      if (failed) throw Object.assign(new Error('the tool failed'), { [ANSWER]: answer })
      return answer
    },

    tell: (call, error) =>
      invoke(call, () => {
        throw error
      }),
  }
}

interface Probe {
  /** There as soon as arguments could be parsed; an error comes later. */
  parsed?: Parsed
  /** The SDK's key of what it calls back with. */
  key?: symbol
  /** The line of the SDK's that looks at the signal when `execute` has failed. */
  failing?: string | undefined
  over?: Promise<void>
}

/** Has a tool parse arguments, and stops it there. */
function probe(made: Invokable, runContext: unknown, text: string, failing?: string): Probe {
  const found: Probe = { failing }
  const get = (_: object, asked: string | symbol): unknown => {
    if (asked === 'signal') {
      if (tellsLines) found.failing ??= lineThatReads(get)
      return STOPPED
    }
    if (typeof asked === 'string') return undefined
    // The tool's own timeout has no part in this.
    if (asked.description === 'functionToolTimeoutAlreadyEnforced') return true
    if (asked.description !== 'openai.agents.functionToolParsedInputCallback') return undefined
    found.key = asked
    return (args: unknown) => {
      found.parsed = { args }
      throw STOP
    }
  }
  found.over = made.invoke(runContext, text, new Proxy({}, { get })).then(
    () => undefined,
    (error) => {
      found.parsed ??= { error }
    },
  )
  return found
}

/** What has been parsed becomes these arguments, or is the same already. */
function putInto(parsed: unknown, args: unknown): void {
  if (isObject(parsed) && isObject(args) && Object.isExtensible(parsed)) {
    for (const name of Object.keys(parsed)) Reflect.deleteProperty(parsed, name)
    Object.assign(parsed, args)
  } else if (!isDeepStrictEqual(parsed, args)) {
    throw new Denied('invalid-arguments', 'the schema of the tool made something else of them than was judged', '')
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the SDK tells a tool, with other members. Hidden ones are kept: by them it knows its calls again. */
export function withMembers(details: Details | undefined, members: PropertyDescriptorMap): object {
  const copy = Object.create(Object.getPrototypeOf(details ?? {}), Object.getOwnPropertyDescriptors(details ?? {}))
  for (const name of Reflect.ownKeys(members)) {
    Object.defineProperty(copy, name, { ...members[name as string], enumerable: true, configurable: true })
  }
  return copy
}

/** Functions of the same source are the same lines of the SDK: nobody else's is taken for them. */
function sourceOf(fn: unknown): string | undefined {
  return typeof fn === 'function' ? Function.prototype.toString.call(fn) : undefined
}

/** Which line of code is reading something of ours, through this function. Where that can't be told, nothing. */
function lineThatReads(through: (...args: never[]) => unknown): string | undefined {
  try {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 1
    const here: { stack?: unknown } = {}
    try {
      Error.captureStackTrace(here, through)
      return typeof here.stack === 'string' ? here.stack : undefined
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  } catch {
    return undefined
  }
}

const reading = (): string | undefined => lineThatReads(reading)
/** Not every engine does: then no line is taken for the SDK's. */
const tellsLines = reading() !== [reading()][0]

/** Stops a tool between parsing and running. */
const STOP = new ToolTimeoutError({ toolName: 'sample', timeoutMs: 1 })
const STOPPED = AbortSignal.abort(STOP)

let ran = false
const SAMPLE = tool({
  name: 'sample',
  description: '',
  parameters: { type: 'object', properties: {}, required: [], additionalProperties: false },
  timeoutMs: 60_000,
  execute: () => {
    ran = true
    return ''
  },
})
/** A version of the SDK that does not stop there must not be asked to: tried on a tool that does nothing. */
const knows = 'args' in (probe(SAMPLE, undefined, '{}').parsed ?? {}) && !ran && /^async\b/.test(`${SAMPLE.invoke}`)
