/** The options of `createHaldir` that say what is watched for, and what is done then. */
import { type Duration, parseDuration } from '../duration.ts'
import type { Notifier } from '../notifiers/notifier.ts'
import { check, checkKeys } from '../options.ts'
import type { EngineParts } from '../watch/signals/engine.ts'
import { checkEngine, type EngineOptions } from '../watch/signals/options.ts'
import { SIGNALS, type SignalName } from '../watch/signals/signal.ts'

/** Everything that can be done about a signal. */
export const REACTIONS = ['record', 'notify', 'ask', 'suspend'] as const

/**
 * `record`: an entry in the trail; always. `notify`: those in `notify` are told. `ask`: a person decides about the next
 * calls. `suspend`: the session, and what was delegated from it, makes no calls until it is released.
 */
export type Reaction = (typeof REACTIONS)[number]

export interface SignalOptions extends EngineOptions {
  /** What is done about a signal, beside recording it; `['notify']` unless given. */
  readonly react?: { readonly [S in SignalName]?: readonly Reaction[] }
  /** Who is told. */
  readonly notify?: readonly Notifier[]
  /** How long a person is asked, unless it is released before; an hour unless given. */
  readonly askFor?: Duration
  /** How far back the trail is read at the start, to know agents again; 30 days unless given, `false`: not at all. */
  readonly warmFrom?: Duration | false
}

export interface CheckedSignals {
  readonly engine: EngineParts
  readonly react: Readonly<Record<SignalName, readonly Reaction[]>>
  readonly notifiers: readonly Notifier[]
  readonly askForMs: number
  readonly warmMs: number | undefined
}

/** `undefined`: nobody watches. Throws `ConfigError`, naming the option. */
export function checkSignals(options: SignalOptions | undefined): CheckedSignals | undefined {
  if (options === undefined) return undefined
  const keys = ['detectors', 'agents', 'react', 'notify', 'askFor', 'warmFrom']
  checkKeys(options, keys, 'options of `signals`', 'signals')
  const { react = {}, notify = [], askFor = '1h', warmFrom = '30d' } = options
  checkKeys(react, SIGNALS, 'signals', 'signals.react')
  check('signals.notify', Array.isArray(notify), 'is a list of notifiers')
  for (const [index, notifier] of notify.entries()) {
    const sound = typeof notifier?.notify === 'function' && typeof notifier.name === 'string'
    check(`signals.notify.${index}`, sound, 'is not a notifier')
  }
  return {
    engine: checkEngine(options, 'signals.'),
    react: Object.fromEntries(SIGNALS.map((signal) => [signal, reactionsTo(signal, react[signal])])) as never,
    notifiers: [...notify],
    askForMs: parseDuration(askFor, 'signals.askFor'),
    warmMs: warmFrom === false ? undefined : parseDuration(warmFrom, 'signals.warmFrom'),
  }
}

function reactionsTo(signal: SignalName, given: readonly Reaction[] = ['notify']): readonly Reaction[] {
  const known = Array.isArray(given) && given.every((one) => REACTIONS.includes(one))
  check(`signals.react.${signal}`, known, 'lists `record`, `notify`, `ask` or `suspend`')
  // In one order, and recorded whatever it says.
  return REACTIONS.filter((reaction) => reaction === 'record' || given.includes(reaction))
}
