/**
 * `@haldir/core/store`: for those who write stores and sinks; users never need it. The arithmetic and the rules that all
 * of them share stand here, so that each keeps rows and none decides in its own way.
 */
export { background, type Clock, type MaybePromise, steadyTime } from './clock.ts'
export { ConfigError, HaldirError, Unavailable } from './errors.ts'
export { check, checkKeys } from './options.ts'
export { soundTime, WriterEnded } from './sinks/sink.ts'
export { type BareApproval, born, changed, fits, forgetAt, same } from './stores/approval-life.ts'
export {
  type ApprovalChange,
  type ApprovalFilter,
  type ApprovalQuery,
  type ApprovalRow,
  type ApprovalState,
  type ApprovalVerbs,
  type Consent,
  type ConsentRefusal,
  consentRefusal,
  type Delivery,
  type NewApproval,
  type PendingLimits,
  REMEMBER_MS,
  type Requested,
} from './stores/approvals.ts'
export {
  bornInto,
  extended,
  isLive,
  type Life,
  refusedBy,
  type SessionRefusal,
  stillBy,
  suspendedWith,
} from './stores/lineage.ts'
export { type Bucket, chargedOn, EMPTY, leaked, type Refusal, tooFast } from './stores/rate.ts'
export type {
  Admission,
  AdmitRefusal,
  AdmitRequest,
  Cap,
  CapReached,
  Charge,
  Expired,
  Hint,
  HoldRow,
  HoldState,
  MeterKey,
  MeterState,
  NewMeter,
  NewSession,
  Rate,
  SealedSecret,
  SecretVerbs,
  SessionRow,
  SessionVerbs,
  Settlement,
  SettleRequest,
  Store,
  StoredSecret,
  Suspension,
  WriterRow,
  WriterVerbs,
} from './stores/store.ts'
export { isZone, meterOf, rowOf, WINDOWS, type Window, windowOf } from './stores/window.ts'
