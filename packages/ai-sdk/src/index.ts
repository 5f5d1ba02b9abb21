/** Haldir for the Vercel AI SDK. */
export type { Where } from '@haldir/core/adapter'
export { type GovernableTool, governed, type ToolRule } from './governed.ts'
export {
  type MeterableModel,
  type MeteredModel,
  type MeterModelOptions,
  type ModelCallParams,
  meterModel,
} from './meter-model.ts'
export type { Price, Prices } from './prices.ts'
