/**
 * The SDK's own pause, `needsApproval` of AI SDK 6 and 7: where calls are suspended, people are asked there and the loop
 * ends with a request for approval. What it answers lets nothing run; the gate in `execute` decides.
 */
import type { AdapterRequest, GovernedHandle } from '@haldir/core/adapter'
import { partsOf } from './messages.ts'

/** What the SDK gives to `needsApproval` beside the input. */
export interface NeedOptions {
  readonly toolCallId?: string
  readonly messages?: readonly unknown[]
  readonly context?: unknown
  readonly experimental_context?: unknown
}

/** Turns what the SDK gives into a call, as `execute` does. */
type RequestOf = (input: unknown, options: NeedOptions | undefined) => AdapterRequest

/** Of each gate, how to look up what the tool has in its place. */
const gates = new WeakMap<object, () => unknown>()

/** Gives a governed copy of a tool the gate. Where calls are not suspended it has what the tool has, and nothing more. */
export function addPause(copy: object, handle: GovernedHandle, requestOf: RequestOf): void {
  const before = Object.getOwnPropertyDescriptor(copy, 'needsApproval')
  const own = () => (before?.get ? Reflect.apply(before.get, copy, []) : before?.value)

  async function needsApproval(this: unknown, input: unknown, options?: NeedOptions): Promise<boolean> {
    const request = requestOf(input, options)
    if (isAnswered(request.ref, options?.messages)) {
      // AI SDK 6 asks again when it goes on, and turns away in its own words what needs no approval any more. Only the
      // gate in `execute` may do that: it knows what was decided, and says why.
      if (isNothing(own()) || (await handle.prepare(request)).verdict !== 'allow') return true
    } else if (request.ref !== undefined) {
      const { verdict, suspends } = await handle.askAhead(request)
      if (verdict === 'ask' && suspends) return true
    }
    return asks(own(), this, input, options)
  }

  gates.set(needsApproval, own)
  Object.defineProperty(copy, 'needsApproval', {
    // Looked up each time: a haldir may be made after its tools.
    get: () => (handle.suspends() ? needsApproval : own()),
    set(value: unknown) {
      Object.defineProperty(this, 'needsApproval', { value, writable: true, enumerable: true, configurable: true })
    },
    enumerable: before?.enumerable ?? true,
    configurable: true,
  })
}

/** Asks the `needsApproval` that the application wrote for a tool, as the SDK does; not the gate. */
export function asksItself(tool: object, input: unknown, options: NeedOptions): Promise<boolean> {
  const { needsApproval } = tool as { needsApproval?: unknown }
  const own = typeof needsApproval === 'function' ? gates.get(needsApproval) : undefined
  return asks(own ? own() : needsApproval, tool, input, options)
}

async function asks(need: unknown, self: unknown, input: unknown, options: unknown): Promise<boolean> {
  return Boolean(typeof need === 'function' ? await Reflect.apply(need, self, [input, options]) : need)
}

function isNothing(need: unknown): boolean {
  return need === undefined || need === null
}

/** Whether the SDK goes on with this call: as it sees it, by an answer without a result in the last message. */
function isAnswered(ref: string | undefined, messages: readonly unknown[] = []): boolean {
  const last = partsOf(messages.at(-1), 'tool')
  if (ref === undefined || last.length === 0) return false
  if (last.some(({ type, toolCallId }) => type === 'tool-result' && toolCallId === ref)) return false
  const answered = new Set(last.flatMap((part) => (part.type === 'tool-approval-response' ? [part.approvalId] : [])))
  return messages.some((message) =>
    partsOf(message, 'assistant').some(
      (part) => part.type === 'tool-approval-request' && part.toolCallId === ref && answered.has(part.approvalId),
    ),
  )
}
