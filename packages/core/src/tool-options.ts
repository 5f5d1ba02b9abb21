/** What a developer says of a tool when wrapping it: read once, checked strictly. */
import { hash } from 'node:crypto'
import type { Misfit } from './adapter/misfit.ts'
import { canonical, Hostile, snapshot } from './call.ts'
import { disregard } from './clock.ts'
import { ConfigError } from './errors.ts'
import { amountsOf } from './gate/meters.ts'
import type { ToolFacts } from './gate/policy/policy.ts'
import { parseRequired } from './gate/scopes.ts'
import type { GovernedTool, Requirement } from './governor.ts'
import type { Amount } from './money.ts'
import { checkKeys } from './options.ts'
import { compileRecord, type RecordOptions } from './record-options.ts'
import { misplaced, parseSecretArgs } from './secret-args.ts'
import { toolFragment } from './watch/chain.ts'

/** One amount, or several of different units. */
export type Amounts = Amount | readonly Amount[]

export interface ToolOptions<Args = any, Result = any> {
  /** What a session must hold: one scope, several, or read from the arguments. `[]` says that any live session will do. */
  readonly scope: string | readonly string[] | ((args: Args) => string | readonly string[])
  /** The most a call can cost; it is set aside before the tool runs. Synchronous; when it throws the call is refused. */
  readonly cost?: Amounts | ((args: Args) => Amounts)
  /** What a call really cost, read from its result. Absent: what was set aside. */
  readonly actual?: (result: Result, args: Args) => Amounts
  /**
   * At most once: a key, read from the arguments, that no other call of this tool in the tenant may have while one that
   * has it runs, nor for 24 hours after that. Freed when the call does not run, or fails and `onFailure` is `release`.
   */
  readonly once?: (args: Args) => string
  /** What the tool does, for policies. */
  readonly annotations?: ToolAnnotations
  /** Names of the secrets the tool may reveal. */
  readonly secrets?: readonly string[]
  /**
   * Secrets that are put in the arguments, by path: `{ 'headers.authorization': 'stripe_key' }`. The argument there is
   * `{{secret}}` or missing; anything else, or `{{secret}}` elsewhere, is refused. For tools one does not own.
   */
  readonly secretArgs?: Readonly<Record<string, string>>
  /** What a failed call costs: what was set aside (`keep`, the default: it may have gone through), or nothing. */
  readonly onFailure?: 'keep' | 'release'
  /** Whether a result that can't be searched for secrets may pass after one was revealed. */
  readonly unscanned?: 'refuse' | 'allow'
  /**
   * What becomes of a call while a person decides: it waits for the answer, or it is suspended and resumed when there is
   * one, maybe in another process. As `approvals.mode` of the haldir says, unless given.
   */
  readonly approval?: 'wait' | 'suspend'
  /**
   * What the trail holds of its arguments: shown, as fingerprints that a known value is found by, or sealed so that it
   * can be erased. Nothing, unless given.
   */
  readonly record?: RecordOptions<Args>
}

/** In the words of MCP's annotations. Unsaid, a tool is what is worse. */
export interface ToolAnnotations {
  /** It changes nothing. `false` unless said. */
  readonly readOnly?: boolean
  /** It may delete or overwrite. `true` unless said, or read-only. */
  readonly destructive?: boolean
  /** Calling it again with the same arguments changes nothing more. `false` unless said. */
  readonly idempotent?: boolean
  /** It reaches beyond a closed set of things: the web, mail. `true` unless said. */
  readonly openWorld?: boolean
  /** Labels of your own, as policies read them: `tool.labels.team`. */
  readonly labels?: Readonly<Record<string, string | number | boolean>>
}

const KEYS = [
  'scope',
  'cost',
  'actual',
  'once',
  'annotations',
  'secrets',
  'secretArgs',
  'onFailure',
  'unscanned',
  'approval',
  'record',
] as const
const HINTS = ['readOnly', 'destructive', 'idempotent', 'openWorld'] as const
export const TOOL_NAME: RegExp = /^[A-Za-z0-9_.:/-]{1,128}$/

/** A tool as an adapter describes it. */
export interface ToolDefinition {
  readonly framework: string
  readonly name: string
  readonly options: ToolOptions
  /** Plain data that says what the tool is (description, schema): its hash stands in every entry. */
  readonly definition?: unknown
  /** JSON Schema of its arguments. */
  readonly schema?: unknown
  /** Says what is wrong with arguments by that schema, where the framework does not check them itself. */
  readonly misfit?: Misfit | undefined
  readonly run: GovernedTool['run']
}

/** Throws `ConfigError`, naming the field. */
export function compileTool({
  framework,
  name,
  options,
  definition,
  schema,
  misfit,
  run,
}: ToolDefinition): GovernedTool {
  if (typeof name !== 'string' || !TOOL_NAME.test(name)) {
    throw invalid('name', 'is 1 to 128 letters, digits, `_`, `.`, `:`, `/` or `-`')
  }
  checkKeys(options, KEYS, `options of \`${name}\``)
  const { scope, cost, actual, once, secrets = [], onFailure = 'keep', unscanned = 'refuse' } = options
  const { approval } = options
  if (actual !== undefined && typeof actual !== 'function') throw invalid('actual', 'is a function of the result')
  if (once !== undefined && typeof once !== 'function') throw invalid('once', 'is a function of the arguments')
  if (!Array.isArray(secrets) || !secrets.every((secret) => typeof secret === 'string')) {
    throw invalid('secrets', 'is a list of names')
  }
  const secretArgs = parseSecretArgs(options.secretArgs)
  if (onFailure !== 'keep' && onFailure !== 'release') throw invalid('onFailure', 'is `keep` or `release`')
  if (unscanned !== 'refuse' && unscanned !== 'allow') throw invalid('unscanned', 'is `refuse` or `allow`')
  if (approval !== undefined && approval !== 'wait' && approval !== 'suspend') {
    throw invalid('approval', 'is `wait` or `suspend`')
  }
  const defined = definition === undefined ? undefined : definitionHash(definition)
  return {
    framework,
    name,
    fragment: toolFragment({ name, hash: defined }),
    hash: defined,
    waiting: approval,
    scopes: typeof scope === 'function' ? undefined : [scope].flat(),
    required: compileScope(scope, cost !== undefined),
    cost: compileCost(cost),
    actual,
    once,
    facts: factsOf(framework, name, options.annotations),
    schema,
    misfit,
    secrets: [...secrets],
    secretArgs,
    unseals: [...new Set([...secrets, ...secretArgs.map(({ name }) => name)])],
    refuses: secretArgs.length === 0 ? undefined : (args) => misplaced(args, secretArgs),
    destination: undefined,
    within: undefined,
    record: compileRecord(options.record, schema),
    releaseOnFailure: onFailure === 'release',
    allowUnscanned: unscanned === 'allow',
    run,
  }
}

function factsOf(framework: string, name: string, annotations: ToolAnnotations = {}): ToolFacts {
  checkKeys(annotations, [...HINTS, 'labels'], 'annotations', 'annotations')
  for (const hint of HINTS) {
    const said = annotations[hint]
    if (said !== undefined && typeof said !== 'boolean') throw invalid(`annotations.${hint}`, 'is true or false')
  }
  const { readOnly = false, destructive = !readOnly, idempotent = false, openWorld = true, labels = {} } = annotations
  const taken = snapshot(labels)
  const plain = taken instanceof Hostile ? undefined : (taken.args as Record<string, string | number | boolean>)
  if (!plain || Array.isArray(plain) || !Object.values(plain).every((one) => SCALARS.has(typeof one))) {
    throw invalid('annotations.labels', 'is an object of strings, numbers and booleans')
  }
  return Object.freeze({ name, framework, readOnly, destructive, idempotent, openWorld, labels: plain })
}

const SCALARS = new Set(['string', 'number', 'boolean'])

function compileScope(scope: ToolOptions['scope'], priced: boolean): GovernedTool['required'] {
  if (typeof scope === 'function') {
    return (args) => {
      const given = scope(args)
      disregard(given)
      return { ...parseScopes(given, priced), rule: 'scope', fromArgs: true }
    }
  }
  if (scope === undefined) throw invalid('scope', 'is missing; write `scope: []` if any live session may call the tool')
  const fixed = parseScopes(scope, priced)
  return () => fixed
}

function parseScopes(scope: string | readonly string[], priced: boolean): Requirement {
  const scopes = Array.isArray(scope)
    ? scope.map((one, index) => parseRequired(one, `scope.${index}`))
    : [parseRequired(scope as string)]
  if (!priced && scopes.some(([first]) => first === 'spend')) {
    throw invalid('cost', 'is missing; a tool that requires `spend` says what a call costs')
  }
  // `session`: a live one is all it takes.
  return { scopes, rule: scopes.map((one) => `scope:${one.join(':')}`).join(' ') || 'session', fromArgs: false }
}

function compileCost(cost: ToolOptions['cost']): GovernedTool['cost'] {
  if (cost === undefined || typeof cost === 'function') return cost as GovernedTool['cost']
  const fixed = amountsOf(cost)
  if (!fixed) throw invalid('cost', 'is an amount such as `usd(1)`, or a function that answers one')
  return () => fixed
}

/** SHA-256 over the canonical text of the definition. Parts that are no plain data are left out of a tool's identity. */
function definitionHash(definition: unknown): string | undefined {
  const taken = snapshot(definition)
  return taken instanceof Hostile ? undefined : hash('sha256', canonical(taken.args), 'hex')
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
