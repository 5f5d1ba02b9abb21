/** What a tool says of itself: tools of MCP servers come with hints of what they do. */
import type { ToolAnnotations, ToolOptions } from '@haldir/core/adapter'

/** How MCP names what annotations say. */
const HINTS = {
  readOnly: 'readOnlyHint',
  destructive: 'destructiveHint',
  idempotent: 'idempotentHint',
  openWorld: 'openWorldHint',
} as const

/**
 * The options with the hints of `metadata.annotations`, or of `mcp.annotations` as Mastra has it, as defaults, member by member. A server may say anything of its
 * tools, so what the rule says wins, and what is no plain yes or no has not been said.
 */
export function withHints(options: ToolOptions, tool: object): ToolOptions {
  const { metadata, mcp } = tool as Partial<Record<'metadata' | 'mcp', { annotations?: unknown } | null>>
  const hints = metadata?.annotations ?? mcp?.annotations
  if (typeof hints !== 'object' || hints === null) return options
  const hinted: Partial<Record<keyof typeof HINTS, boolean>> = {}
  for (const [name, hint] of Object.entries(HINTS) as [keyof typeof HINTS, string][]) {
    const said = Object.hasOwn(hints, hint) ? (hints as Record<string, unknown>)[hint] : undefined
    if (typeof said === 'boolean') hinted[name] = said
  }
  const { annotations } = options
  // What is wrong with the rule's own is told where they are read.
  if (annotations !== undefined && (typeof annotations !== 'object' || annotations === null)) return options
  const ruled = Object.entries(annotations ?? {}).filter(([, said]) => said !== undefined)
  return { ...options, annotations: { ...hinted, ...Object.fromEntries(ruled) } as ToolAnnotations }
}
