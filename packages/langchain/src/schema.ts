/** What LangChain makes of the arguments that a model wrote, as far as the gate has to know it beforehand. */
import { isDeepStrictEqual } from 'node:util'
import { misfitFrom, misfitOf } from '@haldir/core/adapter'
import { interopParseAsync, isInteropZodSchema } from '@langchain/core/utils/types'

/** Arguments as the tool takes them, or why they are none. */
export type Fit = { readonly args: unknown; readonly misfit?: undefined } | { readonly misfit: string }

/** By the tool's own schema, of either kind. */
export async function fit(schema: unknown, args: unknown): Promise<Fit> {
  if (isInteropZodSchema(schema)) {
    try {
      const parsed: unknown = await interopParseAsync(schema, args)
      // It would be taken for a call once more.
      return isToolCall(parsed) ? { misfit: misfitFrom([]) } : { args: parsed }
    } catch (error) {
      return { misfit: misfitFrom((error as { issues?: unknown } | null | undefined)?.issues) }
    }
  }
  const misfit = misfitOf(schema)?.(args)
  return misfit === undefined ? { args } : { misfit }
}

/** The same, for a tool that will read what was judged by its schema once more: it must come out as it went in. */
export async function fitTwice(schema: unknown, args: unknown): Promise<Fit> {
  const once = await fitText(schema, args)
  if (once.misfit !== undefined) return once
  const again = await fitText(schema, once.args)
  return again.misfit === undefined && isDeepStrictEqual(again.args, once.args) ? once : { misfit: UNSTEADY }
}

/** As `Tool` does it, of whichever copy of LangChain: text stands for its only argument, and the schema answers that text. */
async function fitText(schema: unknown, args: unknown): Promise<Fit> {
  const plain = await fit(schema, args)
  if (plain.misfit === undefined || typeof (args ?? '') !== 'string') return plain
  const text = await fit(schema, { input: args })
  return text.misfit === undefined && text.args === args ? text : plain
}

const UNSTEADY = 'the tool would not run with the arguments that can be judged'

export function isToolCall(value: unknown): value is { readonly args: unknown } {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'tool_call'
}

/**
 * LangChain takes a call for its arguments, and again when those look like a call; so the innermost ones count. A call
 * that has no end has none.
 */
export function unwrapped(input: unknown): unknown {
  let args = input
  for (let level = 0; level < DEEPEST && isToolCall(args); level++) args = args.args
  return isToolCall(args) ? undefined : args
}

const DEEPEST = 64
