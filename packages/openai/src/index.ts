/** Haldir for the OpenAI SDK: `runTools`, and loops written by hand. */
export type { Where } from '@haldir/core/adapter'
export type { MessageLike, ResponseLike } from './calls.ts'
export { governed, type ToolRule } from './governed.ts'
export { permitted } from './permitted.ts'
export { type RunToolCallsOptions, runToolCalls } from './run-tool-calls.ts'
export type { GovernableTool } from './shape.ts'
export {
  type CallOutput,
  type FunctionCallOutput,
  type SuspendedCall,
  SuspendedCalls,
  type ToolMessage,
} from './suspended-calls.ts'
