/** `haldirMiddleware`: what governed tools can't do by themselves in an agent of `langchain`. It is no gate. */
import { ConfigError } from '@haldir/core'
import { ambientSession, carriedIn, checkKeys, isSession, unknownTool, type Where } from '@haldir/core/adapter'
import { ToolMessage } from '@langchain/core/messages'
import { FRAMEWORK, type GovernableTool } from './governed.ts'
import { permits } from './permitted.ts'

export interface HaldirMiddlewareOptions<Tools extends readonly GovernableTool[] = readonly GovernableTool[]>
  extends Where {
  /** Governed tools that the agent gets along with the middleware. */
  readonly tools?: Tools
}

/** What `createMiddleware` of `langchain` would make: an agent reads nothing but these members. */
export interface HaldirMiddleware<Tools extends readonly GovernableTool[] = readonly GovernableTool[]> {
  readonly '~middlewareTypes'?: {
    Schema: undefined
    ContextSchema: undefined
    FullContext: any
    Tools: Tools extends readonly any[] ? Tools : never
    StreamTransformers: readonly []
  }
  name: string
  tools?: Tools
  wrapToolCall(request: any, handler: (request: any) => any): Promise<any>
  wrapModelCall(request: any, handler: (request: any) => any): Promise<any>
}

/**
 * For `createAgent({ middleware: […, haldirMiddleware()] })`, at the end of the list. A call of a tool that does not
 * exist is refused and recorded; tools that the session could never use are not shown to the model. Throws `ConfigError`
 * for bad options.
 */
export function haldirMiddleware<const Tools extends readonly GovernableTool[] = readonly []>(
  options: HaldirMiddlewareOptions<Tools> = {},
): HaldirMiddleware<Tools> {
  checkKeys(options, ['tools', 'haldir', 'session'], 'options of `haldirMiddleware`')
  const { tools, ...where } = options
  if (tools !== undefined && !(Array.isArray(tools) && tools.every(permits))) {
    throw new ConfigError('invalid-option', 'tools', '`tools` is a list of governed tools')
  }
  // What is wrong with the rest is told now, not when a model errs.
  unknownTool(FRAMEWORK, undefined, where)
  return {
    // As `createMiddleware` marks what it makes.
    [Symbol.for('AgentMiddleware')]: true,
    name: 'haldir',
    ...(tools && { tools }),

    async wrapToolCall(request, handler) {
      // A tool that other middleware brings along stands here, too.
      if (request.tool) return handler(request)
      const { name, args, id } = request.toolCall
      const { configurable, signal } = request.runtime ?? {}
      const refused = unknownTool(FRAMEWORK, name, where)
      const outcome = await refused.execute({ args, ref: id, session: carriedIn(configurable), signal })
      // In shadow mode nothing is different from what it would be without.
      if (outcome.status !== 'denied') return handler(request)
      return new ToolMessage({ status: 'error', content: outcome.denial.message, tool_call_id: id ?? '', name })
    },

    async wrapModelCall(request, handler) {
      const session = where.session ?? carriedIn(request.runtime?.configurable) ?? ambientSession()
      // Without a session every call is refused, and the record of that says more than a model without tools.
      if (!isSession(session) || !request.tools) return handler(request)
      const given: readonly unknown[] = request.tools
      const shown = given.filter((tool, at) => given.indexOf(tool) === at && permits(tool)?.(session) !== false)
      return handler({ ...request, tools: shown })
    },
  } as HaldirMiddleware<Tools>
}
