/**
 * Haldir: governance that lives inside an agent's own process.
 *
 * The words, used everywhere and without synonyms:
 *   haldir      the assembled governor an application creates
 *   session     an agent's leave to act: agent, tenant, scopes, meters, expiry; no session, no access
 *   scope       a permission such as `read`, `gmail:read`, `spend:50`
 *   call        one pass of one tool call through the path: session, tool, snapshot of its arguments, digest
 *   verdict     what judging gives: allow, deny or ask, always with the rule that decided and why
 *   policy      the document that judges calls beyond scopes, rule by rule
 *   guard       a decision point outside, which can only make a verdict stricter
 *   meter       anything counted with a limit; a hold is an amount set aside on it, ending settled or released
 *   secret      a credential at rest in the vault, revealed only inside a running call
 *   approval    a person's recorded decision on one exact call; an approver is a channel that asks
 *   trail       the audit log, of entries, going to sinks
 *   store       where shared state lives
 */
export type { ApprovalQuestion, Approvals } from './approvals/face.ts'
export type { ApprovalOptions } from './approvals/options.ts'
export type {
  Approval,
  ApprovalTerm,
  ApprovalVote,
  Approver,
  ApproverPort,
  Said,
  Say,
  SayRefusal,
} from './approvers/approver.ts'
export type { Authorization } from './authorization.ts'
export { type Clock, type MaybePromise, systemClock } from './clock.ts'
export { currentCall } from './context.ts'
export type { CurrentCall, Secret } from './current-call.ts'
export type { Duration } from './duration.ts'
export { type ConfigCode, ConfigError, type DenialCode, Denied, HaldirError, Suspended } from './errors.ts'
export type { Fault } from './faults.ts'
export { type Guard, type GuardAnswer, type GuardCall, type PolicyClient, policyGuard } from './gate/guards.ts'
export type { BudgetLine } from './gate/meters.ts'
export type { Policy, Rule } from './gate/policy/policy.ts'
export type { DelegateOptions, FetchOptions, Session } from './gate/sessions.ts'
export type { MeterOptions } from './gate/standing.ts'
export { type FunctionOptions, type GovernableFunction, governed } from './governed.ts'
export { createHaldir, type Haldir } from './haldir.ts'
export type { EgressOptions, HaldirOptions } from './haldir-options.ts'
export type { Health } from './health.ts'
export { type Amount, amount, money, usd } from './money.ts'
export type { PaymentOptions, Payments } from './payments.ts'
export type { RecordOptions } from './record-options.ts'
export type { SessionOptions } from './session-options.ts'
export type { SignalOptions } from './signals/options.ts'
export type { Sink, SinkOpened, StoredChain, StoredLine } from './sinks/sink.ts'
export type { Hint, Store } from './stores/store.ts'
export type { CallExplanation, ExplainCall, Surface, SurfaceTool } from './surface.ts'
export type { Amounts, ToolAnnotations, ToolOptions } from './tool-options.ts'
export type { Detector } from './vault/detection.ts'
export { type EnvKeyOptions, envKey, fileKey, type KeyProvider } from './vault/keys.ts'
export type { PutOptions, RewrapOptions, Rewrapped, SecretInfo, Vault } from './vault/vault.ts'
export { type Entry, type EntryType, entrySchema } from './watch/entry.ts'
export type { Exported, ExportOptions } from './watch/export.ts'
export type { Filter } from './watch/filter.ts'
export type { Erased, ErasureOf, Fingerprintable, RecordedArgs, Revealed, TrailPrivacy } from './watch/privacy.ts'
export type { Page } from './watch/query.ts'
export type { Trail } from './watch/reading.ts'
export type { SpendOptions } from './watch/spend.ts'
export type { SpendRow } from './watch/sums.ts'
export type { Verification } from './watch/verification.ts'
