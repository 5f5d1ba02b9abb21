/** Which framework a tool is made for, by its shape: to say, of one that came to the wrong `governed`, where it belongs. */
import { ConfigError } from '../errors.ts'

interface Shape {
  readonly type?: unknown
  readonly invoke?: unknown
  readonly schema?: unknown
  readonly run?: unknown
  readonly lc_namespace?: unknown
  readonly lc_runnable?: unknown
  readonly name?: unknown
}

/** In this order: a later shape may be part of an earlier one. */
const SHAPES: readonly (readonly [package_: string, made: string, fits: (tool: Shape) => boolean])[] = [
  ['@haldir/langchain', 'LangChain', (tool) => tool.lc_namespace !== undefined || isRunnable(tool)],
  // Before OpenAI's: these may say that they are of type `function` or `custom`, too.
  ['@haldir/ai-sdk', 'the AI SDK', (tool) => 'inputSchema' in tool],
  ['@haldir/anthropic', 'the Anthropic SDK', (tool) => 'input_schema' in tool],
  ['@haldir/openai/agents', 'the OpenAI Agents SDK', isAgents],
  ['@haldir/openai', 'the OpenAI SDK', ({ type }) => type === 'function' || type === 'custom'],
  ['@haldir/anthropic', 'the Anthropic SDK', isAnthropics],
]

/**
 * Throws `ConfigError`: what came is no tool that this package can govern. It names the package for it, where that is
 * another one.
 */
export function refuseForeign(tool: unknown, name: string, own: string): never {
  const where = packageFor(tool)
  const belongs = where && where.package !== own
  const text = belongs
    ? `\`${name}\` is a tool of ${where.made}: it is wrapped with \`governed\` of \`${where.package}\``
    : `\`${name}\` is not a tool that \`${own}\` knows`
  throw new ConfigError('ungovernable', name, text)
}

/** Whether something looks like a tool that another package is for. */
export function isForeign(tool: unknown, own: string): boolean {
  const found = packageFor(tool)
  return found !== undefined && found.package !== own
}

function packageFor(tool: unknown): { package: string; made: string } | undefined {
  if (typeof tool === 'function') return { package: '@haldir/core', made: 'no framework' }
  if (typeof tool !== 'object' || tool === null) return undefined
  const found = SHAPES.find(([, , fits]) => fits(tool as Shape))
  return found && { package: found[0], made: found[1] }
}

function isRunnable({ invoke, schema, lc_runnable }: Shape): boolean {
  return typeof invoke === 'function' && (lc_runnable === true || schema !== undefined)
}

function isAgents({ type, invoke, name }: Shape): boolean {
  if (type === 'function') return typeof invoke === 'function'
  return type === 'hosted_tool' || (typeof name === 'string' && /^(computer|shell|apply_patch)$/.test(String(type)))
}

/** Has a `run`, or is one of the provider's own, whose types are dated, all but one. */
function isAnthropics({ type, run }: Shape): boolean {
  return typeof run === 'function' || (typeof type === 'string' && /_\d{8}$|^mcp_toolset$/.test(type))
}
