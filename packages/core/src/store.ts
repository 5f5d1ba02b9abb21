/**
 * `@haldir/core/store`: for those who write stores and sinks; users never need it. What all of them share stands here, so
 * that it means the same in each.
 */
export { background, type Clock, type MaybePromise, steadyTime } from './clock.ts'
export { ConfigError, HaldirError, Unavailable } from './errors.ts'
export { check, checkKeys } from './options.ts'
export { soundTime, WriterEnded } from './sinks/sink.ts'
export type {
  ApprovalChange,
  ApprovalFilter,
  ApprovalQuery,
  ApprovalRow,
  ApprovalState,
  ApprovalVerbs,
  Consent,
  Delivery,
  NewApproval,
  PendingLimits,
  Requested,
} from './stores/approvals.ts'
export { type Bucket, leaked, tooFast } from './stores/rate.ts'
export type {
  Admission,
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
  WriterRow,
  WriterVerbs,
} from './stores/store.ts'
export { Watchers } from './stores/watchers.ts'
export { type Window, windowOf } from './stores/window.ts'
