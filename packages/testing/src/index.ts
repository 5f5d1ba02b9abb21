/** `@haldir/testing`: for those who test with Haldir, or write a store, a sink, a guard or an adapter of their own. */

export {
  type AdapterDriver,
  type Answer,
  adapterContract,
  type DriveOptions,
  type Loop,
  type LoopOptions,
  type NativePause,
  type ScriptedCall,
  type ToolBody,
} from './adapter-contract.ts'
export {
  type ApproverContract,
  type ApproverWays,
  approverContract,
  type OpenedApprover,
  type Person,
  type PersonAnswer,
  type Shown,
} from './approver-contract.ts'
export { type FakeClock, fakeClock, fakeIds } from './clock.ts'
export {
  type ClickOptions,
  type Deliver,
  type FakeSlack,
  type FakeSlackOptions,
  fakeSlack,
  type SendOptions,
  type SlackCall,
  type SlackEphemeral,
  type SlackFailure,
  type SlackMessage,
  type SlackView,
} from './fake-slack.ts'
export { type GuardContract, guardContract, type OpenedGuard, type SampleCall } from './guard-contract.ts'
export { type OpenedSink, type SinkContract, type SinkWays, sinkContract } from './sink-contract.ts'
export { type OpenedStore, type StoreContract, storeContract } from './store-contract.ts'
