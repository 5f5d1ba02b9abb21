/** Policies on trial: a table of calls, and the verdict each of them must get. Nothing runs and no clock is read. */
import { Hostile, snapshot } from '../../call.ts'
import { ConfigError } from '../../errors.ts'
import { checkKeys, nearest } from '../../options.ts'
import { compilePolicy } from './compile.ts'
import type { Policy, PolicyVerdict, Subject, ToolFacts } from './policy.ts'
import { printable } from './says.ts'

/** One call, and what must come of it. What is left out is as it is for a call that says nothing of it. */
export interface PolicyTest {
  /** Names the test in the report; the tool's name unless given. */
  readonly name?: string
  /** The tool's name, or what is known of it beside its name. Unsaid: not read-only, destructive, open-world. */
  readonly tool: string | ({ readonly name: string } & Partial<ToolFacts>)
  /** `{}` unless given. */
  readonly args?: unknown
  /** `agent` unless given. */
  readonly agent?: string
  /** `default` unless given. */
  readonly tenant?: string
  readonly scopes?: readonly string[]
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly depth?: number
  /** When, as RFC 3339 has it: `2026-11-23T07:43:00Z`. Unless given: noon (UTC) of Monday, 5 January 2026. */
  readonly at?: string
  readonly expect: PolicyVerdict | ExpectedVerdict
}

export interface ExpectedVerdict {
  readonly verdict: PolicyVerdict
  /** Id of the rule that must decide; `default` for none. */
  readonly rule?: string
  /** The reason that must be given. */
  readonly because?: string
}

export interface PolicyTestResult {
  readonly name: string
  readonly ok: boolean
  readonly expected: ExpectedVerdict
  readonly got: { readonly verdict: PolicyVerdict; readonly rule: string; readonly reason: string }
}

export interface PolicyReport {
  /** Whether every call got what was expected of it. */
  readonly ok: boolean
  readonly results: readonly PolicyTestResult[]
  /** How many tests there were, and a line for each that failed. */
  toString(): string
}

/**
 * Judges every call of the table. Throws `ConfigError` for a policy or a test that is not sound, and for an empty table:
 * it would prove nothing. `at` is the time of calls whose test names none.
 */
export function testPolicy(
  policy: Policy,
  tests: readonly PolicyTest[],
  options: { readonly at?: string } = {},
): PolicyReport {
  checkKeys(options, ['at'], 'options of `testPolicy`')
  const compiled = compilePolicy(policy)
  const results = checkPolicyTests(tests, options.at).map((test, index): PolicyTestResult => {
    const subject = subjectOf(test, `tests.${index}`, options.at)
    const { verdict, rule, reason } = compiled.forTool(subject.tool.name).judge(subject)
    const expected = typeof test.expect === 'string' ? { verdict: test.expect } : test.expect
    const got = { verdict, rule, reason }
    return { name: test.name ?? `${index + 1}, ${subject.tool.name}`, ok: meets(got, expected), expected, got }
  })
  return { ok: results.every(({ ok }) => ok), results, toString: () => reportText(results) }
}

/** Throws `ConfigError` for the first thing that is wrong: a test whose misspelt field is ignored proves nothing. */
export function checkPolicyTests(tests: unknown, at?: unknown): readonly PolicyTest[] {
  if (!Array.isArray(tests) || tests.length === 0) throw invalid('tests', 'is a list of at least one test')
  if (at !== undefined) momentOf(at, 'at')
  for (const [index, test] of tests.entries()) {
    const path = `tests.${index}`
    checkKeys(test, TEST_KEYS, 'fields of a policy test', path)
    checkTest(test as Readonly<Record<string, unknown>>, path)
  }
  return tests as readonly PolicyTest[]
}

const TEST_KEYS = ['name', 'tool', 'args', 'agent', 'tenant', 'scopes', 'attributes', 'depth', 'at', 'expect'] as const
const TOOL_FLAGS = ['readOnly', 'destructive', 'idempotent', 'openWorld'] as const
const VERDICTS = ['allow', 'ask', 'deny'] as const
const NOON = '2026-01-05T12:00:00Z'

function checkTest(test: Readonly<Record<string, unknown>>, path: string): void {
  const { tool, scopes, attributes, depth, at, expect } = test
  for (const field of ['name', 'agent', 'tenant'] as const) {
    if (test[field] !== undefined && !isText(test[field])) throw invalid(`${path}.${field}`, 'is a text')
  }
  if (!isText(tool)) checkTool(tool, `${path}.tool`)
  if (scopes !== undefined && !(Array.isArray(scopes) && scopes.every(isText))) {
    throw invalid(`${path}.scopes`, 'is a list of scopes')
  }
  if (attributes !== undefined && !isMap(attributes)) throw invalid(`${path}.attributes`, 'is a map')
  if (depth !== undefined && !(Number.isSafeInteger(depth) && (depth as number) >= 0)) {
    throw invalid(`${path}.depth`, 'is a whole number, at least 0')
  }
  if (at !== undefined) momentOf(at, `${path}.at`)
  if (isMap(expect)) {
    checkKeys(expect, ['verdict', 'rule', 'because'], 'fields of `expect`', `${path}.expect`)
    checkVerdict(expect.verdict, `${path}.expect.verdict`)
    for (const field of ['rule', 'because'] as const) {
      if (expect[field] !== undefined && !isText(expect[field])) throw invalid(`${path}.expect.${field}`, 'is a text')
    }
  } else checkVerdict(expect, `${path}.expect`)
}

function checkTool(tool: unknown, path: string): void {
  if (!isMap(tool)) throw invalid(path, 'is the name of a tool, or a map with its `name`')
  checkKeys(tool, ['name', 'framework', ...TOOL_FLAGS, 'labels'], 'fields of `tool`', path)
  if (!isText(tool.name)) throw invalid(`${path}.name`, 'is the name of a tool')
  if (tool.framework !== undefined && !isText(tool.framework)) throw invalid(`${path}.framework`, 'is a text')
  for (const flag of TOOL_FLAGS) {
    if (tool[flag] !== undefined && typeof tool[flag] !== 'boolean')
      throw invalid(`${path}.${flag}`, 'is `true` or `false`')
  }
  if (tool.labels !== undefined && !isMap(tool.labels)) throw invalid(`${path}.labels`, 'is a map')
}

function checkVerdict(verdict: unknown, path: string): void {
  if (VERDICTS.some((one) => one === verdict)) return
  const near = typeof verdict === 'string' ? nearest(verdict, VERDICTS) : undefined
  throw invalid(path, `is \`allow\`, \`ask\` or \`deny\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`)
}

/** The call as judging sees it. Its arguments are taken as those of a call are. */
function subjectOf(test: PolicyTest, path: string, at = NOON): Subject {
  const taken = snapshot(test.args ?? {})
  if (taken instanceof Hostile)
    throw new ConfigError('invalid-option', `${path}.args`, `\`${path}.args\`: ${taken.reason}`)
  const attributes = snapshot(test.attributes ?? {})
  if (attributes instanceof Hostile) throw invalid(`${path}.attributes`, 'is plain data')
  const { agent = 'agent', tenant = 'default', scopes = [], depth = 0 } = test
  return {
    args: taken.args,
    session: { id: 'session', agent, tenant, scopes, attributes: attributes.args as Record<string, unknown>, depth },
    tool: factsOf(typeof test.tool === 'string' ? { name: test.tool } : test.tool),
    now: momentOf(test.at ?? at, `${path}.at`),
  }
}

/** Unsaid, a tool is what is worse; one that is said to change nothing does not destroy, either. */
function factsOf({
  name,
  framework = 'core',
  readOnly = false,
  ...rest
}: Exclude<PolicyTest['tool'], string>): ToolFacts {
  return { name, framework, readOnly, destructive: !readOnly, idempotent: false, openWorld: true, labels: {}, ...rest }
}

/** RFC 3339, strictly: a day or hour that does not exist is an error, not the one after. */
function momentOf(at: unknown, path: string): number {
  const [text, date, time] =
    typeof at === 'string'
      ? (/^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/.exec(at) ?? [])
      : []
  const local = Date.parse(`${date}T${time}Z`)
  const moment = text === undefined ? Number.NaN : Date.parse(text.toUpperCase())
  const exists = !Number.isNaN(local) && new Date(local).toISOString().startsWith(`${date}T${time}`)
  if (exists && !Number.isNaN(moment)) return moment
  throw invalid(path, 'is a time such as `2026-11-23T07:43:00Z` or `2026-11-23T07:43:00+01:00`')
}

function meets(got: PolicyTestResult['got'], { verdict, rule, because }: ExpectedVerdict): boolean {
  if (got.verdict !== verdict) return false
  return (rule === undefined || rule === got.rule) && (because === undefined || because === got.reason)
}

function reportText(results: readonly PolicyTestResult[]): string {
  const failed = results.filter(({ ok }) => !ok)
  const count = `${results.length} ${results.length === 1 ? 'test' : 'tests'}`
  const summary = failed.length === 0 ? `${count}, all as expected` : `${count}, ${failed.length} not as expected`
  return [...failed.map(failureText), summary].join('\n')
}

function failureText({ name, expected, got }: PolicyTestResult): string {
  const rule = expected.rule === undefined ? '' : ` by ${expected.rule}`
  const because = expected.because === undefined ? '' : ` (${expected.because})`
  return printable(
    `not ok  ${name}: expected ${expected.verdict}${rule}${because}, got ${got.verdict} by ${got.rule} (${got.reason})`,
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
