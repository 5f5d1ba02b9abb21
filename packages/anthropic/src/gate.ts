/** What stands in place of a tool's `run`. */
import { type CurrentCall, Denied, Suspended } from '@haldir/core'
import {
  carriedIn,
  governTool,
  markWrapped,
  type ToolDefinition,
  thrownFor,
  type Where,
  withoutItems,
} from '@haldir/core/adapter'
import { type Parsing, Unfit } from './parsing.ts'
import { refusalFor } from './refusal.ts'

/** A tool that runs here, as far as the adapter reads it. */
export interface Runnable {
  readonly run: (...args: any[]) => unknown
  /** How a loop of one's own runs a toolset. */
  readonly toolResult?: unknown
  readonly parse?: unknown
  readonly description?: unknown
  readonly input_schema?: unknown
}

/** What a runner gives to `run` beside the arguments: nothing before 0.84 of the SDK, no `toolUse` before 0.97. */
interface RunContext {
  readonly toolUse?: ToolUse
  readonly toolUseBlock?: ToolUse
  readonly signal?: AbortSignal | null
}
interface ToolUse {
  readonly id?: string
  readonly name?: string
  readonly input?: unknown
}

/** A call of one tool of a toolset, such as the computer's: what is judged of it. */
export interface MemberCall {
  readonly name: string
  readonly input: unknown
}

/** A call as it was handed over, for the tool. */
interface Handed {
  readonly context: RunContext | undefined
  readonly unfit: Unfit | undefined
}

/** Whether one entry stands for several tools, which share a `run` that takes the call where others take arguments. */
export function isToolset(tool: object): boolean {
  const { type } = tool as { type?: unknown }
  return typeof type === 'string' && /_toolset_\d{8}$/.test(type)
}

/** The governed `run` of a tool. */
export function gateOf(
  tool: Runnable,
  described: Omit<ToolDefinition, 'run'>,
  { misfit }: Parsing,
  where: Where,
): Runnable['run'] {
  const toolset = isToolset(tool)
  const inner = (args: unknown, call: CurrentCall, handed: unknown): unknown => {
    // A call that is resumed by itself comes with nothing.
    const { context, unfit } = (handed ?? {}) as Partial<Handed>
    // Shadow mode lets through what `parse` turned away: as with the bare tool, the error is what comes of it.
    if (unfit) throw unfit.error
    if (!toolset) return Reflect.apply(tool.run, tool, [args, innerContext(context, { input: args }, call)])
    const block = { type: 'tool_use', id: '', ...(args as MemberCall) }
    const own = innerContext(context ?? { toolUse: block }, args as MemberCall, call)
    return Reflect.apply(tool.run, tool, [own, own.toolUse])
  }
  const handle = governTool({ ...described, run: inner }, where)
  async function run(first: unknown, second: unknown): Promise<unknown> {
    const context = (toolset ? first : second) as RunContext | undefined
    const given = toolset ? memberCall(second) : first
    const unfit = given instanceof Unfit ? given : undefined
    const outcome = await handle.execute({
      args: unfit ? unfit.content : given,
      misfit: toolset ? undefined : misfit(given),
      ref: (context?.toolUse ?? context?.toolUseBlock)?.id,
      signal: context?.signal ?? undefined,
      session: carriedIn(context),
      context: { context, unfit } satisfies Handed,
    })
    if (outcome.status === 'ran') return withoutItems(outcome.value)
    const error = thrownFor(outcome)
    // A tool that asked for what its call may not have fails with a denial.
    throw Denied.isInstance(error) || Suspended.isInstance(error) ? await refusalFor(error) : error
  }
  markWrapped(run, handle)
  return run
}

function memberCall(toolUse: unknown): unknown {
  const { name, input } = (toolUse ?? {}) as Partial<ToolUse>
  return { name, input }
}

/**
 * The same context, but for what was judged in place of what the model wrote, and a signal that also aborts when the
 * session ends; made when the tool looks at it.
 */
function innerContext(context: RunContext | undefined, judged: Partial<MemberCall>, call: CurrentCall): RunContext {
  const block = (use: ToolUse | undefined) => use && { ...use, ...judged }
  const { toolUse, toolUseBlock } = context ?? {}
  const own = block(toolUse)
  return {
    ...context,
    ...(own && { toolUse: own }),
    ...(toolUseBlock && { toolUseBlock: toolUseBlock === toolUse && own ? own : block(toolUseBlock) }),
    get signal() {
      return call.signal
    },
  } as RunContext
}
