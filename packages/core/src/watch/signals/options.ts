/** The options of the detectors: every one checked by name, with a default that works. */
import { type Duration, parseDuration } from '../../duration.ts'
import { ConfigError } from '../../errors.ts'
import { checkKeys } from '../../options.ts'
import { burst } from './burst.ts'
import { parseHours, weekMinutes } from './calendar.ts'
import type { EngineParts } from './engine.ts'
import { firstUse } from './first-use.ts'
import { loop } from './loop.ts'
import { offHours } from './off-hours.ts'
import { repeatedDenials } from './repeated-denials.ts'
import { type Detector, SIGNALS, type SignalName } from './signal.ts'
import { spendSpike } from './spend-spike.ts'

interface Cooled {
  /** How long the same is not said again; an hour unless given. */
  readonly coolDown?: Duration
}

export interface SpendSpikeOptions extends Cooled {
  /** A spike is so many times the usual high: of one amount, of an hour, of a day; 3 unless given. */
  readonly factor?: number
  /** A drift is a week so many times what was usual weeks ago; 2 unless given. */
  readonly drift?: number
  /** How many days with spending are learned from; 5 unless given. */
  readonly days?: number
  /** In currencies, what is no spike whatever is usual; 1 unless given. */
  readonly atLeast?: number
}

export interface OffHoursOptions extends Cooled {
  /** The hours of use, such as `{ 'mon-fri': '07:00-19:00' }`. Absent: they are learned. */
  readonly hours?: Readonly<Record<string, string>>
  /** The zone of the hours, such as `Europe/Berlin`; UTC unless given. */
  readonly zone?: string
  /** How long is learned before anything is said; 14 days unless given. */
  readonly learn?: Duration
  /** How many hours with calls are learned from, at least; 40 unless given. */
  readonly active?: number
  /** What part of the usual activity an hour must have had to be one of use; 0.1 unless given. */
  readonly share?: number
}

export interface RepeatedDenialsOptions extends Cooled {
  /** How many denials with one code in one session are repeated; 6 unless given. */
  readonly session?: number
  /** How many with one code of one agent, in whichever sessions; 15 unless given. */
  readonly agent?: number
  /** Within what time; 10 minutes unless given. */
  readonly window?: Duration
  /** What part of all calls tried meanwhile they are, at least; 0.3 unless given. */
  readonly share?: number
  /** Codes that do not count: `approval-pending`, `rate-exceeded` and `unavailable` unless given. */
  readonly ignore?: readonly string[]
}

export interface FirstUseOptions extends Cooled {
  /** How long an agent is learned before anything is said; 7 days unless given. */
  readonly learn?: Duration
  /** How many calls it is learned from, at least; 50 unless given. */
  readonly calls?: number
  /** How likely a new tool may be and still be told of: the share of tools seen once in all calls; 0.01 unless given. */
  readonly novelty?: number
}

export interface BurstOptions extends Cooled {
  /** A burst is so many times the busiest minute of a usual day; 3 unless given. */
  readonly factor?: number
  /** How many calls in a minute are none, whatever is usual; 30 unless given. */
  readonly atLeast?: number
  /** How many are one while little is known of the agent; 300 unless given. */
  readonly unknown?: number
  /** How many days are learned from; 5 unless given. */
  readonly days?: number
}

export interface LoopOptions extends Cooled {
  /** How often the same call in a row is a loop; 8 unless given. */
  readonly repeats?: number
  /** How often two to four calls in turn are one; 4 unless given. */
  readonly cycles?: number
  /** How often one call among the last 32 is one; 12 unless given. */
  readonly among?: number
  /** Calls further apart are no loop; 10 minutes unless given. */
  readonly window?: Duration
  /** Tools that are called again on purpose, such as one that asks whether something is done. */
  readonly except?: readonly string[]
}

/** `false`: that detector is left out. */
export interface DetectorOptions {
  readonly 'spend-spike'?: SpendSpikeOptions | false
  readonly 'off-hours'?: OffHoursOptions | false
  readonly 'repeated-denials'?: RepeatedDenialsOptions | false
  readonly 'first-use'?: FirstUseOptions | false
  readonly burst?: BurstOptions | false
  readonly loop?: LoopOptions | false
}

export interface EngineOptions {
  /** The thresholds of the detectors. All of them look, with their defaults, unless told otherwise. */
  readonly detectors?: DetectorOptions
  /** How many agents are remembered; 1,000 unless given. */
  readonly agents?: number
}

type Make<O> = (options: O, read: Reader, coolDownMs: number) => Detector
const MAKE: { readonly [S in SignalName]: Make<Exclude<NonNullable<DetectorOptions[S]>, false>> } = {
  'spend-spike': ({ factor = 3, drift = 2, days = 5, atLeast = 1 }, { above }, coolDownMs) =>
    spendSpike({
      factor: above('factor', factor, 1),
      drift: above('drift', drift, 1),
      days: above('days', days, 0),
      atLeast: above('atLeast', atLeast, -1),
      coolDownMs,
    }),
  'off-hours': ({ hours, zone = 'UTC', learn = '14d', active = 40, share = 0.1 }, { above, at, ms }, coolDownMs) =>
    offHours({
      allowed: hours && parseHours(hours, `${at}.hours`),
      minutes: weekMinutes(zone, `${at}.zone`),
      learnMs: ms('learn', learn),
      active: above('active', active, 0),
      share: above('share', share, 0),
      coolDownMs,
    }),
  'repeated-denials': (options, { above, count, list, ms }, coolDownMs) => {
    const { session = 6, agent = 15, window = '10m', share = 0.3, ignore = IGNORED } = options
    return repeatedDenials({
      session: count('session', session),
      agent: count('agent', agent),
      windowMs: ms('window', window),
      share: above('share', share, -1),
      ignore: list('ignore', ignore),
      coolDownMs,
    })
  },
  'first-use': ({ learn = '7d', calls = 50, novelty = 0.01 }, { above, ms }, coolDownMs) =>
    firstUse({
      learnMs: ms('learn', learn),
      calls: above('calls', calls, -1),
      novelty: above('novelty', novelty, 0),
      coolDownMs,
    }),
  burst: ({ factor = 3, atLeast = 30, unknown = 300, days = 5 }, { above }, coolDownMs) =>
    burst({
      factor: above('factor', factor, 1),
      atLeast: above('atLeast', atLeast, 0),
      unknown: above('unknown', unknown, 0),
      days: above('days', days, 0),
      coolDownMs,
    }),
  loop: ({ repeats = 8, cycles = 4, among = 12, window = '10m', except = [] }, { count, list, ms }, coolDownMs) =>
    loop({
      repeats: count('repeats', repeats),
      cycles: count('cycles', cycles),
      among: count('among', among, 32),
      windowMs: ms('window', window),
      except: list('except', except),
      coolDownMs,
    }),
}
const KEYS: { readonly [S in SignalName]: readonly string[] } = {
  'spend-spike': ['factor', 'drift', 'days', 'atLeast', 'coolDown'],
  'off-hours': ['hours', 'zone', 'learn', 'active', 'share', 'coolDown'],
  'repeated-denials': ['session', 'agent', 'window', 'share', 'ignore', 'coolDown'],
  'first-use': ['learn', 'calls', 'novelty', 'coolDown'],
  burst: ['factor', 'atLeast', 'unknown', 'days', 'coolDown'],
  loop: ['repeats', 'cycles', 'among', 'window', 'except', 'coolDown'],
}
/** They tell of a person who has not answered, of a limit that is kept, of a part that is down: of no attempt. */
const IGNORED = ['approval-pending', 'rate-exceeded', 'unavailable']
/** The most that is remembered one by one. */
const MOST = 1_000
const MOST_AGENTS = 100_000

/** Throws `ConfigError`, naming the option. `below`: where these options stand. */
export function checkEngine({ detectors = {}, agents = 1_000 }: EngineOptions, below = ''): EngineParts {
  const path = `${below}detectors`
  checkKeys(detectors, SIGNALS, 'options of `detectors`', path)
  if (!Number.isInteger(agents) || agents < 1 || agents > MOST_AGENTS) {
    throw invalid(`${below}agents`, `is a whole number from 1 to ${MOST_AGENTS}`)
  }
  const made = SIGNALS.flatMap((signal): Detector[] => {
    const options = detectors[signal] ?? {}
    if (options === false) return []
    const at = `${path}.${signal}`
    checkKeys(options, KEYS[signal], `options of \`${signal}\``, at)
    const make = MAKE[signal] as Make<Cooled>
    return [make(options, reader(at), parseDuration(options.coolDown ?? '1h', `${at}.coolDown`))]
  })
  return { detectors: made, agents }
}

type Reader = ReturnType<typeof reader>

function reader(at: string) {
  return {
    at,
    above(key: string, value: number, least: number): number {
      if (typeof value === 'number' && Number.isFinite(value) && (least < 0 ? value >= 0 : value > least)) return value
      throw invalid(`${at}.${key}`, least < 0 ? 'is a number, at least 0' : `is a number above ${least}`)
    },
    count(key: string, value: number, most = MOST): number {
      if (Number.isInteger(value) && value >= 2 && value <= most) return value
      throw invalid(`${at}.${key}`, `is a whole number from 2 to ${most}`)
    },
    ms: (key: string, value: Duration): number => parseDuration(value, `${at}.${key}`),
    list(key: string, value: readonly string[]): ReadonlySet<string> {
      if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return new Set(value)
      throw invalid(`${at}.${key}`, 'is a list of names')
    },
  }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
