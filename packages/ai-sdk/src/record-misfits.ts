/**
 * `recordMisfits`: the SDK itself answers calls of unknown tools and calls whose arguments do not fit, and no tool ever
 * sees them. Its hook for repairing such calls does, so they stand in the trail, too.
 */
import { ConfigError } from '@haldir/core'
import { checkKeys, handleOf, UNREADABLE, unknownTool, type Where } from '@haldir/core/adapter'

/** What the SDK says of a call that it can not make. */
export interface MisfitCall {
  readonly toolCall: { readonly toolCallId: string; readonly toolName: string }
  readonly tools: object
}

export interface RecordMisfitsOptions<Call extends MisfitCall, Repaired> extends Where {
  /** A repair of your own. A call that it repairs is none of these, and is judged like any other. */
  readonly repair?: (call: Call) => PromiseLike<Repaired | null>
}

/**
 * For the option `repairToolCall` (AI SDK 7; `experimental_repairToolCall` in 5 and 6): records each such call as
 * refused with `invalid-arguments`. The model reads what the SDK makes of it, as without this. Throws `ConfigError` for
 * options that can't work. What it answers never rejects but for your own repair.
 */
export function recordMisfits<Call extends MisfitCall = MisfitCall, Repaired = never>(
  options: RecordMisfitsOptions<Call, Repaired> = {},
): (call: Call) => Promise<Repaired | null> {
  checkKeys(options, ['haldir', 'session', 'repair'], 'options of `recordMisfits`')
  const { repair, ...where } = options
  if (repair !== undefined && typeof repair !== 'function') {
    throw new ConfigError('invalid-option', 'repair', '`repair` is a function of the call')
  }
  // What is wrong with the rest is an error now, not at the first such call.
  unknownTool(FRAMEWORK, undefined, where)
  return async (call) => {
    const repaired = await repair?.(call)
    if (repaired) return repaired
    const { toolCallId: ref, toolName } = call.toolCall
    const handle = Object.hasOwn(call.tools, toolName)
      ? handleOf((call.tools as Record<string, { execute?: unknown } | undefined>)[toolName]?.execute)
      : unknownTool(FRAMEWORK, toolName, where)
    // In shadow mode, too, nothing runs: the SDK has turned the call away already, so there are no arguments.
    await handle?.execute({ args: UNREADABLE, misfit: MISFIT, ref, session: where.session })
    return null
  }
}

const FRAMEWORK = 'ai-sdk'
const MISFIT = 'the arguments do not fit the tool'
