/**
 * `@haldir/core/policy`: policies that stand in files, and the tools around them.
 *
 *   read     a policy from YAML or JSON (`readPolicy`), also again whenever the file changes (`watchPolicy`)
 *   check    what is sound and yet can't be meant: unknown paths, rules that never match (`checkPolicy`)
 *   test     a table of calls and the verdict each must get (`testPolicy`, `testPolicyFile`)
 *   explain  why a call is judged as it is (`explainPolicy`, of a policy made ready by `compilePolicy`)
 *
 * A policy takes effect as `createHaldir({ policy })`, and later by `haldir.loadPolicy(policy)`.
 */
export { checkPolicy, type KnownTool, type PolicyCheck, type PolicyProblem } from './gate/policy/check.ts'
export { type CompiledPolicy, compilePolicy } from './gate/policy/compile.ts'
export {
  type ExplainedPart,
  type ExplainedRule,
  type Explanation,
  explainPolicy,
  formatExplanation,
  type TruthWord,
} from './gate/policy/explain.ts'
export type {
  Condition,
  ConditionMap,
  Decision,
  Operators,
  PathOperand,
  Policy,
  PolicyVerdict,
  Rule,
  Scalar,
  SessionFacts,
  Subject,
  Test,
  ToolFacts,
} from './gate/policy/policy.ts'
export { policyJsonSchema, policySchema } from './gate/policy/schema.ts'
export {
  type ExpectedVerdict,
  type PolicyReport,
  type PolicyTest,
  type PolicyTestResult,
  testPolicy,
} from './gate/policy/trial.ts'
export { type PolicyTests, readPolicy, readPolicyTests, testPolicyFile } from './policy-files.ts'
export { type PolicyWatch, type WatchOptions, watchPolicy } from './policy-watch.ts'
