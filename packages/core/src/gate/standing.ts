/** Standing meters: quotas, budgets and rates that a haldir keeps beside what the scopes of sessions create. */
import { type Duration, parseDuration } from '../duration.ts'
import { ConfigError } from '../errors.ts'
import { amount } from '../money.ts'
import { checkKeys, nearest } from '../options.ts'
import type { Cap, MeterKey } from '../stores/store.ts'
import { isWindow, isZone, WINDOWS, type Window } from '../stores/window.ts'
import type { Leave } from './leaves.ts'
import type { Meter } from './meters.ts'
import { compileNames } from './policy/patterns.ts'

export type Level = 'session' | 'agent' | 'tenant' | 'tool'

/**
 * One standing meter. A budget or quota counts in a calendar window, or for ever; a rate (`every`) has no boundaries:
 * `limit` in every such time, evenly, with up to `burst` at once.
 */
export interface MeterOptions {
  /** Tells meters apart that count the same unit per the same thing. */
  readonly name?: string
  /**
   * What is counted: `calls`, a currency, or any unit that amounts are of, such as `tokens`. `sessions` and `agents`
   * limit how many of them live at once.
   */
  readonly unit: string
  /** Each of these has a count of its own; always within one tenant. */
  readonly per: Level
  /** A number, or a decimal string. */
  readonly limit: number | string
  /** When counting begins anew: `total` (the default) never does. */
  readonly window?: Window
  /** The IANA zone whose calendar cuts the window; UTC unless given. */
  readonly zone?: string
  /** Makes it a rate. */
  readonly every?: Duration
  /** How much of a rate may come at once; `limit` unless given. */
  readonly burst?: number | string
  /** Only calls of these tools, agents or tenants count; `*` stands for any run of characters. */
  readonly tools?: string | readonly string[]
  readonly agents?: string | readonly string[]
  readonly tenants?: string | readonly string[]
}

const KEYS = ['name', 'unit', 'per', 'limit', 'window', 'zone', 'every', 'burst', 'tools', 'agents', 'tenants'] as const
const LEVELS: readonly Level[] = ['session', 'agent', 'tenant', 'tool']
const NAME = /^[A-Za-z0-9_.-]{1,64}$/
const ALMOST: ReadonlyMap<string, string> = new Map(
  ['calls', 'sessions', 'agents', 'tokens'].flatMap((unit) => [
    [unit, unit],
    [unit.slice(0, -1), unit],
  ]),
)
const CURRENCY = /^[A-Z]{3}$/

type Matcher = (name: string) => boolean

/** A standing meter, read once; for a call it becomes one `Meter` for each thing that it is counted per. */
interface Standing {
  readonly per: Level
  readonly meter: Omit<Meter, 'at'>
  readonly at: Omit<MeterKey, 'key'>
  /** The end of its keys: `|calls|month@Europe/Berlin|standing:quota`. */
  readonly tail: string
  readonly tools: Matcher | undefined
  readonly agents: Matcher | undefined
  readonly tenants: Matcher | undefined
}

export class StandingMeters {
  readonly #meters: readonly Standing[]
  readonly #apart: string
  /** What limits how many sessions and agents live at once. */
  readonly caps: readonly (Cap & { readonly tenants: Matcher | undefined })[]

  /** Throws `ConfigError`, naming the field. `apart` begins the keys of a haldir that counts apart. */
  constructor(options: readonly MeterOptions[], apart: string) {
    if (!Array.isArray(options)) throw invalid('meters', 'is a list of meters')
    const meters: Standing[] = []
    const caps: StandingMeters['caps'][number][] = []
    const seen = new Map<string, string>()
    for (const [index, one] of options.entries()) {
      const path = `meters.${index}`
      checkKeys(one, KEYS, 'fields of a meter', path)
      if (one.unit === 'sessions' || one.unit === 'agents') caps.push(readCap(one, path))
      else {
        const standing = readMeter(one, path)
        const id = `${standing.per}${standing.tail}`
        const other = seen.get(id)
        if (other) throw invalid(path, `counts the same as \`${other}\`; give each a \`name\``)
        seen.set(id, path)
        meters.push(standing)
      }
    }
    this.#meters = meters
    this.#apart = apart
    this.caps = caps
  }

  /** What a call of a tool counts on: the meters of every identity in its chain, and standing ones, each once. */
  forCall(leaves: readonly Leave[], tool: string): readonly Meter[] {
    return this.#on(leaves, tool, ({ tools }) => !tools || tools(tool))
  }

  /** Whether something standing counts a unit, when one identity calls a tool. */
  counts({ facts }: Leave, tool: string, unit: string): boolean {
    return this.#meters.some(
      ({ meter, tools, agents, tenants }) =>
        meter.unit === unit &&
        (!tools || tools(tool)) &&
        (!agents || agents(facts.agent)) &&
        (!tenants || tenants(facts.tenant)),
    )
  }

  /** What counts whatever tool is called, rates apart: what a session's `budget` shows. */
  lasting(leaves: readonly Leave[]): readonly Meter[] {
    return this.#on(leaves, '', ({ tools, per, at }) => !tools && per !== 'tool' && !at.rate)
  }

  #on(leaves: readonly Leave[], tool: string, applies: (standing: Standing) => boolean): readonly Meter[] {
    const found = new Map<string, Meter>()
    for (const { meters } of leaves) for (const meter of meters) found.set(meter.at.key, meter)
    for (const standing of this.#meters) {
      if (applies(standing)) for (const leave of leaves) this.#add(found, standing, leave, tool)
    }
    return [...found.values()]
  }

  /** What calls of a tool may count on, as refusals name it. */
  namesFor(tool: string): readonly string[] {
    return this.#meters.filter(({ tools }) => !tools || tools(tool)).map(({ meter }) => meter.rule)
  }

  /** The caps that a new session of a tenant meets. */
  capsOn(tenant: string): readonly Cap[] {
    return this.caps
      .filter(({ tenants }) => !tenants || tenants(tenant))
      .map(({ count, per, limit }) => ({ count, per, limit }))
  }

  #add(found: Map<string, Meter>, standing: Standing, { facts }: Leave, tool: string): void {
    const { per, tail, agents, tenants, meter, at } = standing
    if ((agents && !agents(facts.agent)) || (tenants && !tenants(facts.tenant))) return
    const id = per === 'session' ? facts.id : per === 'agent' ? facts.agent : per === 'tenant' ? facts.tenant : tool
    const key = `${this.#apart}${facts.tenant}|${per}:${id}${tail}`
    if (!found.has(key)) found.set(key, { ...meter, at: Object.freeze({ ...at, key }) })
  }
}

/** The unit that is counted and that one is almost; no amount of money is of `usd`. */
function meantBy(unit: string): string | undefined {
  const currency = unit.toUpperCase()
  if (Intl.supportedValuesOf('currency').includes(currency)) return currency
  return ALMOST.get(unit.toLowerCase())
}

function readMeter(options: MeterOptions, path: string): Standing {
  const { unit, per, window = 'total', every, burst, name } = options
  const zone = options.zone === undefined ? undefined : zoneNamed(options.zone, `${path}.zone`)
  // Any word is a unit of someone's own; these would count nothing, ever.
  const meant = typeof unit === 'string' ? meantBy(unit) : undefined
  if (meant !== undefined && meant !== unit) throw invalid(`${path}.unit`, `is not known; did you mean \`${meant}\`?`)
  if (!LEVELS.includes(per)) throw unknown(`${path}.per`, per, LEVELS)
  if (!isWindow(window)) throw unknown(`${path}.window`, window, WINDOWS)
  if (zone !== undefined && window === 'total') throw invalid(`${path}.zone`, 'needs a `window`')
  if (name !== undefined && (typeof name !== 'string' || !NAME.test(name))) {
    throw invalid(`${path}.name`, 'is 1 to 64 letters, digits, `_`, `.` or `-`')
  }
  const limit = micros(unit, options.limit, path, 'limit')
  const kind = every !== undefined ? 'rate' : CURRENCY.test(unit) ? 'budget' : 'quota'
  if (every === undefined && burst !== undefined) throw invalid(`${path}.burst`, 'belongs to a rate; say `every`, too')
  if (every !== undefined && options.window !== undefined) {
    throw invalid(`${path}.window`, 'does not go with `every`: a rate has no windows')
  }
  const periodMs = every === undefined ? 0 : parseDuration(every, `${path}.every`)
  if (every !== undefined && limit === 0n) throw invalid(`${path}.limit`, 'is more than zero for a rate')
  const span = every !== undefined ? `every:${periodMs}` : window + (zone === undefined ? '' : `@${zone}`)
  const rate = { limit, periodMs, burst: burst === undefined ? limit : micros(unit, burst, path, 'burst') }
  if (every !== undefined && rate.burst === 0n) throw invalid(`${path}.burst`, 'is more than zero')
  const rule = name ?? `${kind}:${unit}${window === 'total' ? '' : `/${window}`}@${per}`
  return {
    per,
    meter: { unit, limit, rule, code: CODES[kind], reason: reasonOf(kind, unit, per, window) },
    at: every !== undefined ? { window, rate } : { window, limit, ...(zone === undefined ? {} : { zone }) },
    // No `name` can hold a colon: a standing budget is never taken for the one that a session's scope has made.
    tail: `|${unit}|${span}|standing:${name ?? kind}`,
    tools: matcher(options.tools, `${path}.tools`),
    agents: matcher(options.agents, `${path}.agents`),
    tenants: matcher(options.tenants, `${path}.tenants`),
  }
}

/** The zone as everyone spells it: processes that spell it differently must count in the same windows. */
function zoneNamed(zone: unknown, path: string): string {
  const zones = Intl.supportedValuesOf('timeZone')
  if (!isZone(zone)) {
    const near = typeof zone === 'string' ? nearest(zone, zones) : undefined
    const hint = near === undefined ? 'such as `Europe/Berlin`' : `did you mean \`${near}\`?`
    throw invalid(path, `is an IANA time zone; ${hint}`)
  }
  return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone
}

function readCap(options: MeterOptions, path: string): StandingMeters['caps'][number] {
  const { unit, per, limit } = options
  const fields = ['unit', 'per', 'limit', 'tenants']
  checkKeys(options, fields, `fields of a meter of \`${unit}\``, path)
  const levels = unit === 'agents' ? (['tenant'] as const) : (['tenant', 'agent'] as const)
  if (!levels.includes(per as 'tenant')) throw unknown(`${path}.per`, per, levels)
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0) {
    throw invalid(`${path}.limit`, 'is a whole number, not negative')
  }
  return {
    count: unit as Cap['count'],
    per: per as Cap['per'],
    limit,
    tenants: matcher(options.tenants, `${path}.tenants`),
  }
}

const CODES = { rate: 'rate-exceeded', budget: 'budget-exceeded', quota: 'quota-exceeded' } as const

function reasonOf(kind: keyof typeof CODES, unit: string, per: Level, window: Window): string {
  if (kind === 'rate') return `the rate of \`${unit}\` for this ${per} is used up for now`
  return `not enough is left of the ${kind} of \`${unit}\`${window === 'total' ? '' : ` a ${window}`} for this ${per}`
}

function micros(unit: unknown, value: number | string, path: string, field: string): bigint {
  try {
    return amount(unit as string, value).micros
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error
    const at = error.path === 'unit' ? `${path}.unit` : `${path}.${field}`
    throw new ConfigError('invalid-option', at, `\`${at}\`: ${error.message}`)
  }
}

function matcher(patterns: string | readonly string[] | undefined, path: string): Matcher | undefined {
  if (patterns === undefined) return undefined
  const list = typeof patterns === 'string' ? [patterns] : patterns
  if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === 'string' && one !== '')) {
    throw invalid(path, 'is a name, or a list of at least one; `*` stands for any run of characters')
  }
  return compileNames(list)
}

function unknown(path: string, given: unknown, known: readonly string[]): ConfigError {
  const near = typeof given === 'string' ? nearest(given, known) : undefined
  const hint =
    near === undefined ? `one of ${known.map((one) => `\`${one}\``).join(', ')}` : `did you mean \`${near}\`?`
  return invalid(path, near === undefined ? `is ${hint}` : `is not known; ${hint}`)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
