/**
 * Tools that the SDK's own `tool()` has made. Their `invoke` parses the arguments, runs `execute`, and turns what that
 * throws into words for the model, all in one; the gate has to stand between. Three things that `invoke` does with what
 * it is told of a call make room for it:
 *
 * - It calls back with what it has parsed, and then runs `execute` with that same object. Whoever throws there has
 *   arguments parsed and nothing run; whoever changes that object decides what runs.
 * - Where `execute` has failed, and nowhere else, one line of it asks whether the signal is aborted. To see that line
 *   look is to know of the failure.
 * - If it is aborted, the SDK throws the error as it is, before it has words for it.
 *
 * What if one of them is not so? A tool is taken for one of these only if its `invoke` is the source of the SDK's, and is
 * asked for arguments only if its copy of the SDK is known to call back: because a sample tool of that copy has, or
 * because a runner of that copy waits for it. Any other tool is called once, as it is, with what was judged. A look that
 * can't be told for sure to be the SDK's is answered with the call's own signal: then a failure counts as an answer.
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

/**
 * Arguments as the tool's own parser makes them, and whether its schema checks them, which JSON Schema does not: the SDK
 * only shows it to the model. Or the error that the parser throws.
 */
export type Parsed = { readonly args: unknown; readonly checked: boolean } | { readonly error: unknown }

export interface MadeTool {
  /** Whether `needsApproval` is the developer's own function. */
  readonly asks: boolean
  /** What `execute` would be given. Runs nothing; nothing comes where the tool can't be asked. */
  read(call: Invocation): Promise<Parsed | undefined>
  /** Runs `execute` with these arguments in the place of what it would be given. Rejects with the error it throws. */
  run(call: Invocation, args: unknown, signal: () => AbortSignal): Promise<unknown>
  /** What the tool answers when `execute` throws this; rejects where the tool lets errors pass. Runs nothing. */
  tell(call: Invocation, error: unknown): Promise<unknown>
}

/** Of an error that stands for one that only the SDK has seen: what the SDK has made of that. */
export const ANSWER: unique symbol = Symbol('answer')

/** `undefined` for a tool that was made in another way, though it may look like one. */
export function madeTool(made: Invokable): MadeTool | undefined {
  if (!stops || sourceOf(made.invoke) !== sourceOf(SAMPLE.invoke)) return undefined
  const copy = copyOf(made)
  if (!copy) return undefined
  const found: Found = copy
  let checked: boolean | undefined
  const invoke = ({ runContext, text }: Invocation, details: object) => made.invoke(runContext, text, details)
  return {
    asks: typeof made.needsApproval === 'function' && sourceOf(made.needsApproval) !== sourceOf(SAMPLE.needsApproval),

    async read({ runContext, text, details }) {
      if (!callsBack(found, details)) return undefined
      // What checks anything takes no text in the place of an object.
      checked ??= probe(made, undefined, '""', found).args === undefined
      const { args, failed } = probe(made, runContext, text, found)
      return args ? { args: args[0], checked } : { error: await failed }
    },

    async run(call, args, signal) {
      const { onParsed, entered } = found as Required<Found>
      const above = <T>(key: symbol): T => Reflect.get(call.details ?? {}, key, undefined)
      let [entries, put, failed] = [0, false, false]
      const details: object = withMembers(call.details, {
        [onParsed]: {
          value(parsed: unknown) {
            // What is put in their place may hold secrets.
            above<((args: unknown) => void) | undefined>(onParsed)?.(parsed)
            if (!put) putInto(parsed, args)
            put = true
          },
        },
        // Not seen by who copies what `execute` is told: only `invoke` asks for it.
        [entered]: {
          get(this: unknown) {
            if (this === details) entries++
            return above(entered)
          },
          enumerable: false,
        },
        signal: { get: look },
      })
      function look(this: unknown): AbortSignal {
        // `execute` may hand this to other tools. Then it can't be told who has failed.
        failed ||= this === details && entries === 1 && found.line !== undefined && lineThatReads(look) === found.line
        return failed ? STOPPED : signal()
      }
      const answer = await invoke(call, details)
      // With two copies of the SDK in the process, the other one does not know what it was stopped with.
      if (failed) throw Object.assign(new Error('the tool failed'), { [ANSWER]: answer })
      return answer
    },

    tell(call, error) {
      const value = () => {
        throw error
      }
      return invoke(call, withMembers(call.details, { [found.onParsed as symbol]: { value } }))
    },
  }
}

/** What is found out about a copy of the SDK, as soon as it shows. */
interface Found {
  /** The key that its `invoke` asks for before anything else: whether a timeout is somebody else's business. */
  readonly entered: symbol
  /** The key of what it calls back with. There only if it is known to do so. */
  onParsed?: symbol
  /** The line that looks at the signal when `execute` has failed. */
  line?: string | undefined
}

/** By `entered`: no two copies of the SDK have the same. */
const copies = new Map<symbol, Found>()

/** The copy of the SDK that has made a tool; the tool is stopped where it begins, so it runs nothing. */
function copyOf(made: Invokable, text = ''): Found | undefined {
  let found: Found | undefined
  const get = (_: object, entered: string | symbol): never => {
    if (typeof entered === 'symbol' && entered.description === 'functionToolTimeoutAlreadyEnforced') {
      found ??= copies.get(entered) ?? { entered }
      copies.set(entered, found)
    }
    throw STOP
  }
  made.invoke(undefined, text, new Proxy({}, { get })).catch(() => undefined)
  return found
}

/** Whether a copy of the SDK calls back. Its own runner, where it waits for that, says so. */
function callsBack(found: Found, details: object | undefined): boolean {
  if (!found.onParsed && details && Object.hasOwn(details, found.entered)) {
    const waitsFor = Object.getOwnPropertySymbols(details).find(isCallback)
    if (waitsFor) found.onParsed = waitsFor
  }
  return found.onParsed !== undefined
}

function isCallback(key: symbol): boolean {
  return key.description === 'openai.agents.functionToolParsedInputCallback'
}

interface Probe {
  /** There at once, or never. */
  readonly args: readonly [unknown] | undefined
  /** What it threw; nothing, where the SDK has made an answer of that. */
  readonly failed: Promise<unknown>
  /** The key of what it has called back with. */
  readonly onParsed: symbol | undefined
}

/** Has a tool parse arguments, and stops it there. */
function probe(made: Invokable, runContext: unknown, text: string, found: Found): Probe {
  let args: [unknown] | undefined
  let onParsed: symbol | undefined
  const stop = (parsed: unknown): never => {
    args = [parsed]
    throw STOP
  }
  const get = (_: object, key: string | symbol): unknown => {
    if (key === 'signal') {
      if (tellsLines) found.line ??= lineThatReads(get)
      return STOPPED
    }
    if (typeof key === 'string') return undefined
    if (key === found.entered) return true
    if (!isCallback(key)) return undefined
    onParsed = key
    return stop
  }
  const failed = made.invoke(runContext, text, new Proxy({}, { get })).then(
    () => undefined,
    (error) => error,
  )
  return { args, failed, onParsed }
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
    Object.defineProperty(copy, name, { enumerable: true, configurable: true, ...members[name as string] })
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
    const { stackTraceLimit, prepareStackTrace } = Error
    try {
      Error.stackTraceLimit = 1
      Error.prepareStackTrace = place
      const here: { stack?: unknown } = {}
      Error.captureStackTrace(here, through)
      return typeof here.stack === 'string' ? here.stack : undefined
    } finally {
      Object.assign(Error, { stackTraceLimit, prepareStackTrace })
    }
  } catch {
    return undefined
  }
}

/** Where the code is, whatever the application makes of stacks. */
function place(_: unknown, [site]: NodeJS.CallSite[]): string | undefined {
  return site && [site.getScriptNameOrSourceURL(), site.getLineNumber(), site.getColumnNumber()].join(':')
}

const reading = (): string | undefined => lineThatReads(reading)
/** Not every engine does: then no line is taken for the SDK's. */
const tellsLines = reading() !== [reading()][0]

/** Stops a tool between parsing and running: of an abort, every copy of the SDK says that it is one. */
const STOP = new DOMException('stopped', 'AbortError')
/** By this reason the SDK throws whatever there is. */
const STOPPED = AbortSignal.abort(new ToolTimeoutError({ toolName: 'sample', timeoutMs: 1 }))

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
/**
 * A version of the SDK that does not stop where it begins must not be asked to: tried on a tool that does nothing. The
 * source of what is not an `async` function may say nothing: that of every bound one is the same.
 */
const own = /^async\b/.test(`${SAMPLE.invoke}`) ? copyOf(SAMPLE, '{}') : undefined
const stops = own !== undefined && !ran
if (own && stops) {
  const { args, onParsed } = probe(SAMPLE, undefined, '{}', own)
  if (args && onParsed && !ran) own.onParsed = onParsed
}
