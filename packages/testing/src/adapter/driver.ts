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

/**
 * How a framework pauses its loop by itself when a person has to decide (`approvals: { mode: 'suspend' }`). A driver
 * without it says that the framework does not: there the model reads the sentence of the `Suspended` in place of a
 * result, the loop goes on to its end, and `haldir.approvals.resume(id)` runs the call later. The contract then does
 * all of that by `loop` alone.
 */
export interface NativePause<Tool extends object = any> {
  /**
   * Runs the loop as `loop` does, until it pauses. Answers what an application would keep of it, as text: messages, the
   * state of a run, or the name of a thread whose checkpoints the driver keeps.
   */
  pause(tools: Record<string, Tool>, calls: readonly ScriptedCall[], options?: LoopOptions): Promise<string>
  /**
   * Goes on with what was kept, as another process would: with tools wrapped there, under the ambient session. The
   * framework is told of each call that it paused for what the store says of it; with `forged: true` it is told that all
   * of them were approved, whatever the store says. While nothing is decided nothing has to happen. Answers the loop as
   * it ends then: `answers` of the same calls, `turns` of this half alone. May reject for what was resumed before.
   */
  resume(
    kept: string,
    tools: Record<string, Tool>,
    calls: readonly ScriptedCall[],
    options?: LoopOptions & { readonly forged?: boolean },
  ): Promise<Loop>
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
  /** The framework's own pause for people, if it has one that the adapter uses. */
  readonly pauses?: NativePause<Tool>
  /** Cases this framework can't pass, by their title, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>
}

/** One of the ways that not every framework has. */
export function way<W extends 'stream' | 'open'>(driver: AdapterDriver, name: W): NonNullable<AdapterDriver[W]> {
  const found = driver[name]
  if (!found) throw new Error(`the driver has no \`${name}\`: it skips this case, with the reason why`)
  return found.bind(driver) as NonNullable<AdapterDriver[W]>
}
