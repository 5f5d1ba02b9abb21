/** The document: its shape as a zod schema, and the check that every policy passes before it judges anything. */
import { z } from 'zod'
import { ConfigError } from '../../errors.ts'
import { conditionDefinitions } from './condition-schema.ts'
import { copyDocument } from './document.ts'
import { checkMeaning } from './meaning.ts'
import type { Condition, Policy } from './policy.ts'
import { below, hint, problem } from './problem.ts'

const MOST_RULES = 10_000

/** Every message ends a sentence that the place begins: `rules.3.id` is …. */
const says = (shape: string) => ({
  error: ({ input }: { readonly input?: unknown }): string =>
    input === undefined ? `is missing; it is ${shape}` : `is not ${shape}`,
})

const text = (most: number, shape: string) => z.string(says(shape)).min(1, says(shape)).max(most, says(shape))

/** For editors; `checkMeaning` says what is wrong with a name. */
const NAME = '^[A-Za-z0-9_.:@/*-]+$'
const NAMES = 'a name or a list of names, in which `*` stands for any run of characters'
const name = text(1_000, 'a name of 1 to 1,000 characters')
const names = z.union(
  [
    text(1_000, NAMES).meta({ pattern: NAME }),
    z.array(name.meta({ pattern: NAME }), says(NAMES)).min(1, says('a list of at least one name')),
  ],
  says(NAMES),
)
const MEANT = {
  block: 'deny',
  forbid: 'deny',
  reject: 'deny',
  permit: 'allow',
  approve: 'ask',
  confirm: 'ask',
  review: 'ask',
}
const VERDICT = '`allow`, `ask` or `deny`'
const VERDICTS = ['allow', 'ask', 'deny'] as const
const verdict = z.enum(VERDICTS, {
  error: ({ input }) => {
    const near = typeof input === 'string' ? hint(input, VERDICTS, MEANT) : ''
    return input === undefined
      ? `is missing; it is ${VERDICT}`
      : `is not ${VERDICT}${near.startsWith('did') ? `; ${near}` : ''}`
  },
})
const condition = z.custom<Condition>((given) => given !== undefined, says('a condition'))

/** Plain names joined by dots. */
const GRANT_PATH = /^[A-Za-z0-9_$-]{1,64}(\.[A-Za-z0-9_$-]{1,64}){0,15}$/

const ruleShape = {
  id: z
    .string(says('1 to 64 letters, digits, `_`, `.`, `:`, `/` or `-`'))
    .regex(/^[A-Za-z0-9_.:/-]{1,64}$/, says('1 to 64 letters, digits, `_`, `.`, `:`, `/` or `-`'))
    .describe('Names the rule in verdicts and in the trail; once in a policy.'),
  tools: names
    .exactOptional()
    .describe('The tools the rule is for; `*` is any run of characters. Every tool unless given.'),
  agents: names.exactOptional().describe('The agents the rule is for. Every agent unless given.'),
  tenants: names.exactOptional().describe('The tenants the rule is for. Every tenant unless given.'),
  when: condition.exactOptional().describe('The rule matches only calls of which this holds.'),
  unless: condition.exactOptional().describe('The rule does not match calls of which this holds.'),
  then: verdict.describe('What becomes of a call that matches: any `deny` wins, then `ask`, then `allow`.'),
  because: text(1_000, 'a reason of 1 to 1,000 characters')
    .exactOptional()
    .describe('The reason, as the model and the trail read it.'),
  approvers: z
    .array(text(200, 'a list of names of approvers'), says('a list of names of approvers'))
    .min(1, says('a list of at least one approver'))
    .exactOptional()
    .describe('Of `ask` rules: who may decide.'),
  quorum: z
    .int(says('a whole number, at least 1'))
    .min(1, says('a whole number, at least 1'))
    .max(100, says('at most 100'))
    .exactOptional()
    .describe('Of `ask` rules: how many have to say yes.'),
  timeout: text(20, 'a duration such as `5m`')
    .exactOptional()
    .describe('Of `ask` rules: by when, such as `5m` or `1h`.'),
  onTimeout: z
    .literal('deny', says('`deny`'))
    .exactOptional()
    .describe('Of `ask` rules: what no answer in time means.'),
  selfApproval: z
    .literal(false, says('`false`'))
    .exactOptional()
    .describe('Of `ask` rules: nobody approves what they asked for themselves.'),
  grant: z
    .strictObject(
      {
        for: text(20, 'a duration such as `15m`').describe('How long such a yes holds, such as `15m`.'),
        args: z
          .array(
            z
              .string(says('a path below `args`, such as `account` or `to.domain`'))
              .regex(GRANT_PATH, says('a path below `args`, such as `account` or `to.domain`')),
            says('a list of paths below `args`'),
          )
          .describe('The arguments that must stay as they were; the others may differ.'),
      },
      says('an object of `for` and `args`'),
    )
    .exactOptional()
    .describe('Of `ask` rules: an approver may say yes to all calls of this kind for a while.'),
}

const rule = z.strictObject(ruleShape, {
  error: unknownKeys('rule', Object.keys(ruleShape), {
    effect: 'then',
    verdict: 'then',
    action: 'then',
    if: 'when',
    condition: 'when',
    conditions: 'when',
    tool: 'tools',
    agent: 'agents',
    tenant: 'tenants',
    reason: 'because',
    name: 'id',
  }),
})

const policyShape = {
  $schema: z.string(says('a text')).exactOptional().describe('For editors; ignored.'),
  name: text(200, 'a name of 1 to 200 characters').exactOptional().describe('What people call this policy.'),
  version: z
    .union([text(200, 'a text or a number'), z.number(says('a text or a number'))], says('a text or a number'))
    .exactOptional()
    .describe('Names this edition. Required when a condition is a function.'),
  zone: text(200, 'an IANA zone such as `Europe/Berlin`')
    .exactOptional()
    .describe('The IANA zone of `time.*`, such as `Europe/Berlin`; UTC unless given.'),
  default: verdict.describe(
    'What becomes of a call that no rule matches. `allow` needs `allowByDefault: true` beside it.',
  ),
  allowByDefault: z.literal(true, says('`true`')).exactOptional().describe('Says that `default: allow` is meant.'),
  rules: z
    .array(rule, says('a list of rules'))
    .max(MOST_RULES, says('a list of at most 10,000 rules'))
    .describe('The rules. Their order does not matter.'),
}

const documentShape = z.strictObject(policyShape, {
  error: unknownKeys('policy', Object.keys(policyShape), { rule: 'rules', timezone: 'zone', tz: 'zone' }),
})

/** The schema of a policy document of plain data. For a document that can't be trusted there is `checkDocument`. */
export const policySchema: z.ZodType<Policy> = documentShape.superRefine((policy, context) => {
  try {
    checkMeaning(policy)
  } catch (error) {
    const own = ConfigError.isInstance(error) ? error : problem('', 'could not be read')
    context.addIssue({ code: 'custom', path: own.path.split('.'), message: own.message, params: { error: own } })
  }
})

/** The same as JSON Schema (draft 2020-12): what a YAML editor completes and checks with. */
export function policyJsonSchema(): object {
  const schema = z.toJSONSchema(documentShape, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === condition) jsonSchema.$ref = '#/$defs/condition'
    },
  })
  const { $schema, ...rest } = schema
  return { $schema, title: 'Haldir policy', ...rest, $defs: conditionDefinitions() }
}

/**
 * Checks a document that anyone may have written, and answers a deep-frozen copy of it. Throws `ConfigError`
 * (`invalid-policy`) for the first thing that is wrong: nothing in a policy is ever skipped.
 */
export function checkDocument(document: unknown): Policy {
  const copy = copyDocument(document)
  const { error } = policySchema.safeParse(copy)
  if (error === undefined) return copy as Policy
  throw firstOf(error.issues)
}

function firstOf(issues: readonly z.core.$ZodIssue[]): ConfigError {
  const first = issues[0] as z.core.$ZodIssue
  if (first.code === 'custom' && first.params?.error) return first.params.error as ConfigError
  // A misspelt key is listed after the key that is missing for it, and says more.
  const around = placeOf(first.path.slice(0, -1))
  const misspelt = issues.find(
    (issue) => issue.code === 'unrecognized_keys' && (issue === first || placeOf(issue.path) === around),
  )
  if (misspelt?.code === 'unrecognized_keys') {
    return problem(placeOf([...misspelt.path, misspelt.keys[0] ?? '']), misspelt.message)
  }
  // Of a name or a list of names: which name it is.
  const inner = first.code === 'invalid_union' ? first.errors.flat().find(({ path }) => path.length > 0) : undefined
  return problem(placeOf([...first.path, ...(inner?.path ?? [])]), inner?.message ?? first.message)
}

function placeOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((at, key) => below(at, String(key)), '')
}

function unknownKeys(what: string, known: readonly string[], others: Readonly<Record<string, string>>) {
  return (issue: {
    readonly code?: string | undefined
    readonly keys?: readonly string[]
    readonly input?: unknown
  }): string =>
    issue.code === 'unrecognized_keys'
      ? `is not a field of a ${what}; ${hint(issue.keys?.[0] ?? '', known, others)}`
      : 'is not a map of fields'
}
