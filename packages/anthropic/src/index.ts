/** Haldir for the tool runner of the Anthropic SDK. */
export type { Where } from '@haldir/core/adapter'
export type { MemberCall } from './gate.ts'
export { type GovernableTool, governed, type ToolRule } from './governed.ts'
export { permitted } from './permitted.ts'
