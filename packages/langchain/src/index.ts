/** Haldir for LangChain and LangGraph. */
export type { Where } from '@haldir/core/adapter'
export { type GovernableTool, governed, type ToolRule } from './governed.ts'
export { type HaldirMiddleware, type HaldirMiddlewareOptions, haldirMiddleware } from './middleware.ts'
export { permitted } from './permitted.ts'
