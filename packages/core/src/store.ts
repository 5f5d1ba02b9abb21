/** `@haldir/core/store`: for authors of stores and sinks. What every one of them needs, so that it means the same in all. */
export { background, steadyTime } from './clock.ts'
export { Unavailable } from './errors.ts'
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
  SealedSecret,
  SecretVerbs,
  SessionRow,
  SessionVerbs,
  Settlement,
  SettleRequest,
  StoredSecret,
  WriterRow,
  WriterVerbs,
} from './stores/store.ts'
