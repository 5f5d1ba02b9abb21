/** Haldir for the Vercel AI SDK. */
export type { Where } from '@haldir/core/adapter'
export {
  type ApprovalResponse,
  type ApprovalResponses,
  type ApprovalResponsesOptions,
  approvalResponses,
  type PausedCall,
} from './approval-responses.ts'
export { type GovernableTool, governed, type ToolRule } from './governed.ts'
export {
  type MeterableModel,
  type MeteredModel,
  type MeterModelOptions,
  type ModelCallParams,
  meterModel,
} from './meter-model.ts'
export { permitted } from './permitted.ts'
export type { Price, Prices } from './prices.ts'
export { type MisfitCall, type RecordMisfitsOptions, recordMisfits } from './record-misfits.ts'
export {
  type ToolApproval,
  type ToolApprovalAnswer,
  type ToolApprovalQuestion,
  toolApproval,
} from './tool-approval.ts'
