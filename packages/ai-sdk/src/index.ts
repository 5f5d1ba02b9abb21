/** Haldir for the Vercel AI SDK. */
export type { Where } from '@haldir/core/adapter'
export { type GovernableTool, governed, type ToolRule } from './governed.ts'
