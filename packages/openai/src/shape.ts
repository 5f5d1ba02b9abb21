/** What tools of the OpenAI SDK look like, and where each kind keeps its function. */

/**
 * Any tool of the OpenAI SDK: for `runTools` or for the Responses API, written by hand or made by a helper such as
 * `zodFunction`. A function tool of the Responses API has nothing to run; given the member `function`, it has.
 */
export type GovernableTool = { readonly type: 'function' | 'custom' | (string & {}) }

export const FRAMEWORK = 'openai'

type Callback = (args: any, ...rest: any[]) => unknown
export type Parse = (text: string) => unknown

/** The parts of a tool that has a function here. */
export interface Shape {
  /** The tool, or the member of it that `runTools` reads. */
  readonly owner: { readonly [member: string]: unknown }
  /** Under which of its members the owner keeps the function, and what reads the model's text for it. */
  readonly call: '$callback' | 'function'
  readonly parse: '$parseRaw' | 'parse' | undefined
  /** Whether the function gets the model's text itself. */
  readonly takesText: boolean
  /** What the model is told. */
  readonly told: { readonly name?: unknown; readonly description?: unknown; readonly parameters?: unknown }
}

/** Nothing, of a tool whose calls nothing in this process could answer. */
export function shapeOf(tool: unknown): Shape | undefined {
  const { $brand, $callback, $parseRaw, function: inner } = (tool ?? {}) as Record<string, unknown>
  const owner = tool as Shape['owner']
  if ($brand !== undefined) {
    const told = (typeof inner === 'object' && inner !== null ? inner : owner) as Shape['told']
    if (typeof $callback !== 'function' || typeof $parseRaw !== 'function') return undefined
    return { owner, call: '$callback', parse: '$parseRaw', takesText: false, told }
  }
  if (typeof inner === 'function') return { owner, call: 'function', parse: undefined, takesText: false, told: owner }
  const runnable = inner as Shape['owner'] | null | undefined
  if (typeof runnable?.function !== 'function') return undefined
  const parse = typeof runnable.parse === 'function' ? 'parse' : undefined
  return { owner: runnable, call: 'function', parse, takesText: parse === undefined, told: runnable }
}

/** The function of a tool: where the gate is. */
export function callbackOf(shape: Shape): Callback {
  return shape.owner[shape.call] as Callback
}

/** What the model calls a tool; what runs elsewhere may have nothing but a type. */
export function nameOf(tool: unknown): string {
  const { type, name, custom, server_label, function: inner } = (tool ?? {}) as Record<string, unknown>
  const { name: own, function: fn } = (inner ?? {}) as { name?: unknown; function?: { name?: unknown } }
  const names = [typeof inner === 'object' && own, fn?.name, name, (custom as { name?: unknown })?.name, server_label]
  return String(names.find((one) => typeof one === 'string' && one !== '') ?? type)
}

export function isTool(tool: unknown): tool is GovernableTool {
  if (typeof tool !== 'object' || tool === null) return false
  const { type } = tool as { type?: unknown }
  return typeof type === 'string' && type !== 'hosted_tool' && !FOREIGN.some((member) => member in tool)
}

/** Members that tools of other frameworks have beside a `type`. */
const FOREIGN = ['inputSchema', 'input_schema', 'invoke', 'lc_namespace']
