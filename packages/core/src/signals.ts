/** `@haldir/core/signals`: anomalies in a trail that is read, by the detectors that watch a haldir while it runs. */

export type { Notice, Notifier, NotifierPort } from './notifiers/notifier.ts'
export type { Signals } from './signals/face.ts'
export type { Reaction, SignalOptions } from './signals/options.ts'
export { detectSignals } from './watch/signals/offline.ts'
export type {
  BurstOptions,
  DetectorOptions,
  EngineOptions,
  FirstUseOptions,
  LoopOptions,
  OffHoursOptions,
  RepeatedDenialsOptions,
  SpendSpikeOptions,
} from './watch/signals/options.ts'
export type { Severity, Signal, SignalName, SignalScope } from './watch/signals/signal.ts'
