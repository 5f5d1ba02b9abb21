/**
 * The words of a policy: the document as people write it, what it is judged on, and what judging answers. `schema.ts`
 * checks a document, `parse.ts` turns its conditions into trees, `compile.ts` turns those into closures.
 */

export type PolicyVerdict = 'allow' | 'ask' | 'deny'

/** A policy document. Order does not matter: any matching `deny` wins, then `ask`, then `allow`, then `default`. */
export interface Policy {
  /** For editors; ignored. */
  readonly $schema?: string
  readonly name?: string
  /** Names this edition of the policy. Required when a condition is a function: the hash can not see into it. */
  readonly version?: string | number
  /** The IANA zone of `time.*`; UTC unless given. */
  readonly zone?: string
  /** What happens when no rule matches. `allow` needs `allowByDefault: true` beside it. */
  readonly default: PolicyVerdict
  readonly allowByDefault?: true
  readonly rules: readonly Rule[]
}

export interface Rule {
  /** 1 to 64 letters, digits, `_`, `.`, `:`, `/` or `-`; once in a policy. */
  readonly id: string
  /** Names of tools, `*` for any run of characters; every tool unless given. */
  readonly tools?: string | readonly string[]
  readonly agents?: string | readonly string[]
  readonly tenants?: string | readonly string[]
  /** Matches only calls of which this holds. */
  readonly when?: Condition
  /** Does not match calls of which this holds. */
  readonly unless?: Condition
  readonly then: PolicyVerdict
  /** The reason, as the model and the trail read it. */
  readonly because?: string

  // Of `ask` rules alone: who decides, and by when.
  readonly approvers?: readonly string[]
  readonly quorum?: number
  readonly timeout?: string
  readonly onTimeout?: 'deny'
  readonly selfApproval?: false
  /** Lets an approver say yes for a while: to the same tool, with the same values at these paths below `args`. */
  readonly grant?: { readonly for: string; readonly args: readonly string[] }
}

/**
 * What must hold: a map of paths to tests, all of which must pass, together with `all`, `any` and `not`. Paths begin
 * with `args`, `session`, `tool` or `time`; inside `every` and `some` also with `item`. In TypeScript also a function.
 */
export type Condition = ConditionMap | ((call: Subject) => boolean)

export interface ConditionMap {
  readonly all?: readonly Condition[]
  readonly any?: readonly Condition[]
  readonly not?: Condition
  readonly [path: string]: unknown
}

/** What one path is tested for: a scalar (which is `eq`), or operators, all of which must pass. */
export type Test = Scalar | Operators

export type Scalar = string | number | boolean | null

/** Another path, as an operand. */
export interface PathOperand {
  readonly path: string
}

export interface Operators {
  readonly eq?: Scalar | readonly Scalar[] | PathOperand
  readonly ne?: Scalar | readonly Scalar[] | PathOperand
  readonly gt?: number | string | PathOperand
  readonly gte?: number | string | PathOperand
  readonly lt?: number | string | PathOperand
  readonly lte?: number | string | PathOperand
  readonly in?: readonly Scalar[] | PathOperand
  readonly notIn?: readonly Scalar[] | PathOperand
  readonly startsWith?: string | PathOperand
  readonly endsWith?: string | PathOperand
  /** Of a string: this text stands in it. Of an array: this is one of its items. */
  readonly contains?: Scalar | PathOperand
  /** A regular expression of RE2's syntax, found anywhere unless anchored with `^` and `$`. */
  readonly matches?: string
  /** `*` stands for any run of characters, `\\*` for itself; the whole text must match. */
  readonly glob?: string | readonly string[]
  readonly subsetOf?: readonly Scalar[] | PathOperand
  /** How many characters, items or keys. */
  readonly size?: number | Operators
  readonly exists?: boolean
  /** Of an array: what holds for every item (for none, too), or for at least one. */
  readonly every?: Test | ConditionMap
  readonly some?: Test | ConditionMap
  readonly all?: readonly Test[]
  readonly any?: readonly Test[]
  readonly not?: Test
}

/** What a call is judged on. `args` is the private snapshot: frozen plain data, with dates and URLs. */
export interface Subject {
  readonly args: unknown
  readonly session: SessionFacts
  readonly tool: ToolFacts
  /** Milliseconds since the epoch, by haldir's clock. */
  readonly now: number
}

export interface SessionFacts {
  readonly id: string
  readonly agent: string
  readonly tenant: string
  readonly scopes: readonly string[]
  readonly attributes: Readonly<Record<string, unknown>>
  /** How many sessions it was delegated through; 0 for one that was created. */
  readonly depth: number
}

/** What a tool is known to be. Unsaid, it is what is worse: not read-only, destructive, not idempotent, open-world. */
export interface ToolFacts {
  readonly name: string
  readonly framework: string
  readonly readOnly: boolean
  readonly destructive: boolean
  readonly idempotent: boolean
  readonly openWorld: boolean
  readonly labels: Readonly<Record<string, string | number | boolean>>
}

/** What judging answers. */
export interface Decision {
  readonly verdict: PolicyVerdict
  /** Id of the rule that decided; `default` when none matched. */
  readonly rule: string
  /** Its `because`, or a sentence that names it. */
  readonly reason: string
  /** Every rule that asks, when the verdict is `ask`. */
  readonly asking: readonly Rule[]
}
