/** Detection of credentials that nobody has put into the vault, by a set of rules that others keep well: secretlint's. */
import { setImmediate } from 'node:timers/promises'
import { ConfigError } from '../errors.ts'
import { checkKeys, nearest } from '../options.ts'
import type { Detector, FoundCredential } from './detection.ts'

export type { DetectOptions, Detector, FoundCredential } from './detection.ts'

export interface SecretlintOptions {
  /** Kinds that are not looked for, such as `basicauth`. */
  readonly except?: readonly string[]
}

/** What this file needs of a rule; its contract with those who write rules. */
interface Rule {
  readonly meta: { readonly id: string; readonly type: string }
  create(context: Context, options: object): { file?(source: Source): unknown }
}

interface Context {
  readonly sharedOptions: object
  createTranslator(messages: unknown): (messageId: string, data?: object) => Message
  report(report: Report): void
  ignore(): void
}

interface Message {
  readonly message: string
  readonly messageId: string
  readonly data: object | undefined
}

interface Report {
  readonly message: Message
  readonly range: readonly [start: number, end: number]
}

interface Source {
  readonly content: string
  readonly contentType: 'text'
  readonly filePath: string
  readonly ext: string
  readonly hasBOM: boolean
}

const PRESET = '@secretlint/secretlint-rule-preset-recommend'
const ID = /^.*secretlint-rule-/
/** By kind. An id of an AWS key says which account it opens; secretlint looks for it only when told to. */
const RULE_OPTIONS: Readonly<Record<string, object>> = { aws: { enableIDScanRule: true } }
/** No credentials: the number of an AWS account, which the same option looks for. */
const HARMLESS = new Set(['AWSAccountID'])

/**
 * A detector of the kinds of credentials that `@secretlint/secretlint-rule-preset-recommend` knows: `aws`, `github`,
 * `slack`, `npm`, `privatekey` and two dozen more. That package is an optional peer and is loaded here; rejects with
 * `ConfigError` when it is not installed, and for a kind that it does not know.
 */
export async function secretlint(options: SecretlintOptions = {}): Promise<Detector> {
  checkKeys(options, ['except'], 'options of `secretlint`')
  const { except = [] } = options
  if (!Array.isArray(except)) throw new ConfigError('invalid-option', 'except', '`except` is a list of kinds')
  const rules = new Map<string, Rule>()
  for (const rule of await presetRules()) rules.set(rule.meta.id.replace(ID, ''), rule)
  // Comments such as `secretlint-disable` are for files that people look after. A tool's result has no say in this.
  rules.delete('filter-comments')
  for (const [index, kind] of except.entries()) {
    if (rules.delete(kind)) continue
    const near = typeof kind === 'string' ? nearest(kind, [...rules.keys()]) : undefined
    const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
    throw new ConfigError('invalid-option', `except.${index}`, `\`except.${index}\` is no kind that is known${hint}`)
  }
  return {
    name: 'secretlint',
    async find(text, { signal }) {
      const found: FoundCredential[] = []
      // A chunk at a time: what else there is to do in the process, the deadline included, waits for no more than one.
      for (let from = 0; from === 0 || from + OVERLAP < text.length; from += CHUNK - OVERLAP) {
        if (from > 0) await setImmediate()
        signal.throwIfAborted()
        const last = from + CHUNK >= text.length
        for (const one of await findIn(text.slice(from, from + CHUNK), rules)) {
          // What begins or ends where the text was only cut may look different there: the chunk before or the next has
          // it whole, unless it is longer than what both have.
          const whole = (from === 0 || one.start > 0) && (last || one.end < CHUNK)
          if (whole || one.end - one.start >= OVERLAP - 1) {
            found.push({ ...one, start: from + one.start, end: from + one.end })
          }
        }
      }
      return found
    },
  }
}

/** How much is searched at once, and how much of that again with the next. No bounded pattern is as long as the latter. */
const CHUNK = 65_536
const OVERLAP = 16_384

async function presetRules(): Promise<readonly Rule[]> {
  let preset: { readonly rules?: unknown }
  try {
    preset = await import('@secretlint/secretlint-rule-preset-recommend')
  } catch {
    throw new ConfigError('invalid-option', 'detect.credentials', `\`secretlint\` needs the package \`${PRESET}\``)
  }
  const { rules } = preset
  if (!Array.isArray(rules) || !rules.every(isRule)) {
    throw new ConfigError('invalid-option', 'detect.credentials', `this version of \`${PRESET}\` is not supported`)
  }
  return rules
}

function isRule(rule: unknown): rule is Rule {
  const { meta, create } = (rule ?? {}) as Partial<Rule>
  return typeof meta?.id === 'string' && typeof create === 'function'
}

// The rules are run here and not by `@secretlint/core`, which is made for a command that ends: for each text it keeps
// dozens of performance marks for ever, and it takes quadratic time to compare what was found.
async function findIn(content: string, rules: ReadonlyMap<string, Rule>): Promise<FoundCredential[]> {
  // No name and no extension: a rule that reads files has none to read.
  const source = { content, contentType: 'text', filePath: '', ext: '', hasBOM: false } as const
  const found: FoundCredential[] = []
  for (const [kind, rule] of rules) {
    const report = ({ message, range }: Report) => {
      if (!HARMLESS.has(message.messageId)) found.push({ ...placed(content, range, message.data), kind })
    }
    const searching = rule.create({ ...CONTEXT, report }, RULE_OPTIONS[kind] ?? {}).file?.(source)
    if (searching !== undefined) await searching
  }
  return found
}

const CONTEXT = {
  sharedOptions: {},
  // The messages of rules hold what was found; none is made.
  createTranslator: () => (messageId: string, data?: object) => ({ message: '', messageId, data }),
  ignore: () => {},
} satisfies Omit<Context, 'report'>

/**
 * Where the credential stands. Some rules look for `name = value` and report a range that begins with the name and is
 * as long as the value: then the end of the value would be left over.
 */
function placed(content: string, [start, end]: Report['range'], data: object = {}): { start: number; end: number } {
  const length = end - start
  const values = Object.values(data).filter((value) => typeof value === 'string' && value.length === length)
  if (values.length === 0 || values.includes(content.slice(start, end))) return { start, end }
  const at = content.indexOf(values[0] as string, start)
  return at === -1 ? { start, end } : { start: at, end: at + length }
}
