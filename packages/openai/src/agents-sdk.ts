/** What is known of a copy of the SDK: how its tools begin, call back and fail. Found out without running any. */
import { ToolTimeoutError, tool } from '@openai/agents'
import { lineThatReads, tellsLines } from './agents-stack.ts'

export interface Invokable {
  invoke(runContext: any, text: string, details?: any): Promise<unknown>
  readonly needsApproval?: unknown
}

/** Functions of the same source are the same lines of the SDK: nobody else's is taken for them. */
function sourceOf(fn: unknown): string | undefined {
  return typeof fn === 'function' ? Function.prototype.toString.call(fn) : undefined
}

/** A copy of the SDK; what is found out about it stands here as soon as it shows. */
export interface Copy {
  /** The key that its `invoke` asks for before anything else: whether a timeout is somebody else's business. */
  readonly entered: symbol
  /** The key of what it calls back with. There only if it is known to do so. */
  onParsed?: symbol
  /** The line that looks at the signal when `execute` has failed. */
  line?: string | undefined
}

/** By `entered`: no two copies of the SDK have the same. */
const copies = new Map<symbol, Copy>()

/** The copy of the SDK that has made a tool; nothing, of a tool that was made in another way. */
export function copyOf(made: Invokable): Copy | undefined {
  return stops && sourceOf(made.invoke) === sourceOf(SAMPLE.invoke) ? begin(made, '') : undefined
}

/** Whether `needsApproval` is the developer's own function. */
export function asksItself({ needsApproval }: Invokable): boolean {
  return typeof needsApproval === 'function' && sourceOf(needsApproval) !== sourceOf(SAMPLE.needsApproval)
}

/** Stops a tool where it begins. */
function begin(made: Invokable, text: string): Copy | undefined {
  let copy: Copy | undefined
  const get = (_: object, entered: string | symbol): never => {
    if (typeof entered === 'symbol' && entered.description === 'functionToolTimeoutAlreadyEnforced') {
      copy ??= copies.get(entered) ?? { entered }
      copies.set(entered, copy)
    }
    throw STOP
  }
  made.invoke(undefined, text, new Proxy({}, { get })).catch(() => undefined)
  return copy
}

/** Whether a copy of the SDK calls back. Its own runner, where it waits for that, says so. */
export function callsBack(copy: Copy, details: object | undefined): boolean {
  if (!copy.onParsed && details && Object.hasOwn(details, copy.entered)) {
    const waitsFor = Object.getOwnPropertySymbols(details).find(isCallback)
    if (waitsFor) copy.onParsed = waitsFor
  }
  return copy.onParsed !== undefined
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
export function probe(made: Invokable, runContext: unknown, text: string, copy: Copy): Probe {
  let args: [unknown] | undefined
  let onParsed: symbol | undefined
  const stop = (parsed: unknown): never => {
    args = [parsed]
    throw STOP
  }
  const get = (_: object, key: string | symbol): unknown => {
    if (key === 'signal') {
      if (tellsLines) copy.line ??= lineThatReads(get)
      return STOPPED
    }
    if (typeof key === 'string') return undefined
    if (key === copy.entered) return true
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

/** Stops a tool between parsing and running: of an abort, every copy of the SDK says that it is one. */
const STOP = new DOMException('stopped', 'AbortError')
/** By this reason the SDK throws whatever there is. */
export const STOPPED: AbortSignal = AbortSignal.abort(new ToolTimeoutError({ toolName: 'sample', timeoutMs: 1 }))

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
const own = /^async\b/.test(`${SAMPLE.invoke}`) ? begin(SAMPLE, '{}') : undefined
const stops = own !== undefined && !ran
if (own && stops) {
  const { args, onParsed } = probe(SAMPLE, undefined, '{}', own)
  if (args && onParsed && !ran) own.onParsed = onParsed
}
