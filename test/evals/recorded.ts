/** Recorded tool calls of public benchmarks, read from a folder outside of this repository. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  type CompiledPolicy,
  checkPolicy,
  compilePolicy,
  type PolicyVerdict,
  readPolicy,
  type Subject,
  type ToolFacts,
} from '@haldir/core/policy'

/** The folder, when there is one. */
export const FOLDER: string | undefined = process.env.HALDIR_EVALS || undefined

export interface RecordedCall {
  readonly function: string
  readonly args: Readonly<Record<string, unknown>>
  /** What the tool answered, as text. */
  readonly output?: unknown
}

export interface RecordedTool {
  readonly name: string
  readonly parameters: unknown
}

/** What the application knows of the session: its attributes. */
export type Attributes = Readonly<Record<string, unknown>>

type Hints = Readonly<
  Record<'readOnlyHint' | 'destructiveHint' | 'openWorldHint' | 'money' | 'credential', boolean | undefined>
>

export function recorded<T>(file: string): T {
  const path = join(FOLDER ?? '', file)
  if (!existsSync(path)) throw new Error(`\`HALDIR_EVALS\` names a folder without ${file}`)
  const bytes = readFileSync(path)
  return JSON.parse((file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')) as T
}

/** What each tool is said to be, by its name; unsaid, it is what is worse. */
export function hintsOf(suite: string): (name: string) => ToolFacts {
  const { annotations } = recorded<{ annotations: Record<string, Record<string, Hints>> }>('tool_annotations.json')
  const hints = annotations[suite] ?? {}
  return (name) => {
    const own = hints[name]
    return {
      name,
      framework: 'core',
      readOnly: own?.readOnlyHint ?? false,
      destructive: own?.destructiveHint ?? true,
      idempotent: false,
      openWorld: own?.openWorldHint ?? true,
      labels: { money: own?.money ?? true, credential: own?.credential ?? true },
    }
  }
}

/** A policy of this folder, and judging by it. */
export class Trial {
  readonly #policy: CompiledPolicy
  readonly #facts: (name: string) => ToolFacts
  readonly #now: number

  private constructor(policy: CompiledPolicy, facts: (name: string) => ToolFacts, now: number) {
    this.#policy = policy
    this.#facts = facts
    this.#now = now
  }

  static async of(name: string, suite: string, at = '2026-01-05T12:00:00Z'): Promise<Trial> {
    const policy = compilePolicy(await readPolicy(new URL(`policies/${name}.yaml`, import.meta.url)))
    return new Trial(policy, hintsOf(suite), Date.parse(at))
  }

  /** Names and paths that the recorded tools do not have. */
  errors(tools: readonly RecordedTool[]): readonly string[] {
    const known = tools.map(({ name, parameters }) => ({ name, schema: parameters }))
    const { problems } = checkPolicy(this.#policy.policy, { tools: known })
    return problems.filter(({ level }) => level === 'error').map(({ message }) => message)
  }

  judge(call: RecordedCall, attributes: Attributes): PolicyVerdict {
    const session = { id: 's', agent: 'agent', tenant: 'default', scopes: [], attributes, depth: 0 }
    const subject: Subject = { args: call.args, session, tool: this.#facts(call.function), now: this.#now }
    return this.#policy.forTool(call.function).judge(subject).verdict
  }
}

/** Counts verdicts, and what they were of. */
export class Tally {
  readonly #counts = new Map<string, number>()
  readonly #notes = new Map<string, number>()
  total = 0

  add(verdict: string, note?: string): void {
    this.total++
    this.#counts.set(verdict, (this.#counts.get(verdict) ?? 0) + 1)
    if (note !== undefined) this.#notes.set(note, (this.#notes.get(note) ?? 0) + 1)
  }

  /** The part of one verdict, 0 to 1. */
  share(verdict: string): number {
    return this.total === 0 ? 0 : (this.#counts.get(verdict) ?? 0) / this.total
  }

  toString(): string {
    const parts = [...this.#counts].map(([name, count]) => `${name} ${count}`)
    const notes = [...this.#notes].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`)
    return `${parts.join(', ')} of ${this.total}${notes.length === 0 ? '' : ` (${notes.slice(0, 12).join('; ')})`}`
  }
}

/** Every match of a pattern in some texts, once. */
export function found(pattern: RegExp, texts: readonly unknown[]): readonly string[] {
  return [...new Set(texts.flatMap((text) => String(text ?? '').match(pattern) ?? []))]
}

/** Addresses may come with and without a scheme, and a rule asks how they begin: each way they can begin. */
export function beginnings(hosts: readonly string[]): readonly string[] {
  return hosts.flatMap((host) => ['', 'http://', 'https://'].flatMap((way) => [`${way}${host}`, `${way}${host}/`]))
}
