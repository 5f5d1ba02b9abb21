/** What the adapter contract asks of an adapter's own tests: how its framework builds, wraps and drives a tool. */
import type { Session } from '@haldir/core'
import type { ToolOptions, Where } from '@haldir/core/adapter'

/** What a tool does, in no framework's terms. Its schema accepts any object, unless it says otherwise. */
export interface ToolBody {
  readonly name: string
  readonly description: string
  /** Its schema is `{ amount: number }`, and demands it. */
  readonly takesAmount?: boolean
  /** Answers once. */
  readonly run?: (args: any, frameworkSignal: () => AbortSignal | undefined) => unknown
  /** Answers with items; the driver builds a streaming tool. */
  readonly items?: (args: any, frameworkSignal: () => AbortSignal | undefined) => AsyncGenerator<unknown>
}

/** A call the scripted model makes. */
export interface ScriptedCall {
  readonly tool: string
  readonly args: object
  /** The framework's id of the call; each call has one of its own unless given. */
  readonly id?: string
}

export interface DriveOptions {
  /** What the framework's own context carries as `haldirSession`. */
  readonly carried?: unknown
  readonly signal?: AbortSignal
}

export interface LoopOptions extends DriveOptions {
  /** Switch on whatever retry the framework has. */
  readonly retrying?: boolean
}

/** What came of one call. */
export interface Answer {
  /** What the model reads, as text. */
  readonly read: string
  /** The value the framework got, when it got one. */
  readonly value?: unknown
  /** The error the framework got, when it shows errors. */
  readonly error?: unknown
}

export interface Loop {
  /** One for each call, in their order. */
  readonly answers: readonly Answer[]
  /** What the model was told of the tools: names, descriptions, schemas. */
  readonly told: unknown
  /** How often the model was asked. It makes its calls when asked first, and says `done` when asked again. */
  readonly turns: number
  /** The text the loop ended with. */
  readonly text: string
  /** Everything that reached the model or the application, as one text. */
  readonly everything: string
}

export interface AdapterDriver<Tool extends object = any> {
  /** Stands in the suite's title. */
  readonly framework: string
  /** The package that the adapter is imported from. */
  readonly package: string
  /** The own members of a tool that wrapping replaces. */
  readonly replaces: readonly PropertyKey[]
  build(body: ToolBody): Tool
  /**
   * An instance of a class that answers `{ kept: 'private' }` from a private field, in a method of its prototype, and
   * has a getter `label` on its prototype that answers `from the prototype` from another private field.
   */
  buildInstance(): Tool
  /** A tool that does not run in this process: at the provider, in the client. */
  buildElsewhere(): Tool
  wrap(tool: Tool, rule: ToolOptions & { readonly name: string }, where?: Where): Tool
  /** The adapter's `permitted`, for a set of tools by name. */
  permitted(tools: Record<string, Tool>, session: Session): Record<string, Tool>
  /** Runs the framework's own loop with a model that makes these calls at once, whatever came before. */
  loop(tools: Record<string, Tool>, calls: readonly ScriptedCall[], options?: LoopOptions): Promise<Loop>
  /** Calls one tool as the framework does, without a loop: for what no model can send. Never rejects. */
  call(tool: Tool, args: unknown, options?: DriveOptions): Promise<Answer>
  /** Runs the streaming loop with one call and answers the tool's items as the framework's reader gets them. */
  stream?(tools: Record<string, Tool>, call: ScriptedCall, options?: LoopOptions): AsyncIterable<unknown>
  /** Calls a streaming tool as the framework does and answers what the framework reads its items from. */
  open?(tool: Tool, args: unknown, options?: DriveOptions): AsyncIterator<unknown>
  /** Cases this framework can't pass, by their title, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>
}

/** One of the ways that not every framework has. */
export function way<W extends 'stream' | 'open'>(driver: AdapterDriver, name: W): NonNullable<AdapterDriver[W]> {
  const found = driver[name]
  if (!found) throw new Error(`the driver has no \`${name}\`: it skips this case, with the reason why`)
  return found.bind(driver) as NonNullable<AdapterDriver[W]>
}
