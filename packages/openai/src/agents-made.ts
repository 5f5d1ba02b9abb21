/**
 * Tools that the SDK's own `tool()` has made. Their `invoke` parses the arguments, runs `execute`, and turns what that
 * throws into words for the model, all in one; the gate has to stand between. Three things that `invoke` does with what
 * it is told of a call make room for it:
 *
 * - It calls back with what it has parsed, and then runs `execute` with that same object. Whoever throws there has
 *   arguments parsed and nothing run; whoever changes that object decides what runs.
 * - Where `execute` has failed, and nowhere else, one line of it asks whether the signal is aborted. To see that line
 *   look is to know of the failure.
 * - If it is aborted, the SDK throws the error as it is, before it has words for it.
 *
 * What if one of them is not so? A tool is taken for one of these only if its `invoke` is the source of the SDK's, and is
 * asked for arguments only if its copy of the SDK is known to call back: because a sample tool of that copy has, or
 * because a runner of that copy waits for it. Any other tool is called once, as it is, with what was judged. A look that
 * can't be told for sure to be the SDK's is answered with the call's own signal: then a failure counts as an answer.
 */
import { isDeepStrictEqual } from 'node:util'
import { Denied } from '@haldir/core'
import { asksItself, type Copy, callsBack, copyOf, type Invokable, probe, STOPPED } from './agents-sdk.ts'
import { lineThatReads } from './agents-stack.ts'

/** What the SDK tells a tool of its call. */
export interface Details {
  readonly toolCall?: { readonly callId?: string }
  readonly signal?: AbortSignal
}

/** One call, as `invoke` is given it. */
export interface Invocation {
  readonly runContext: unknown
  readonly text: string
  readonly details: Details | undefined
}

/**
 * Arguments as the tool's own parser makes them, and whether its schema checks them, which JSON Schema does not: the SDK
 * only shows it to the model. Or the error that the parser throws.
 */
export type Parsed = { readonly args: unknown; readonly checked: boolean } | { readonly error: unknown }

export interface MadeTool {
  /** Whether `needsApproval` is the developer's own function. */
  readonly asks: boolean
  /** What `execute` would be given. Runs nothing; nothing comes where the tool can't be asked. */
  read(call: Invocation): Promise<Parsed | undefined>
  /** Runs `execute` with these arguments in the place of what it would be given. Rejects with the error it throws. */
  run(call: Invocation, args: unknown, signal: () => AbortSignal): Promise<unknown>
  /** What the tool answers when `execute` throws this; rejects where the tool lets errors pass. Runs nothing. */
  tell(call: Invocation, error: unknown): Promise<unknown>
}

/** Of an error that stands for one that only the SDK has seen: what the SDK has made of that. */
export const ANSWER: unique symbol = Symbol('answer')

/** `undefined` for a tool that was made in another way, though it may look like one. */
export function madeTool(made: Invokable): MadeTool | undefined {
  const copy = copyOf(made)
  return copy && madeBy(copy, made)
}

function madeBy(copy: Copy, made: Invokable): MadeTool {
  let checked: boolean | undefined
  const invoke = ({ runContext, text }: Invocation, details: object) => made.invoke(runContext, text, details)
  return {
    asks: asksItself(made),

    async read({ runContext, text, details }) {
      if (!callsBack(copy, details)) return undefined
      // What checks anything takes no text in the place of an object.
      checked ??= probe(made, undefined, '""', copy).args === undefined
      const { args, failed } = probe(made, runContext, text, copy)
      return args ? { args: args[0], checked } : { error: await failed }
    },

    async run(call, args, signal) {
      const { onParsed, entered } = copy as Required<Copy>
      const above = <T>(key: symbol): T => Reflect.get(call.details ?? {}, key, undefined)
      let [entries, put, failed] = [0, false, false]
      const details: object = withMembers(call.details, {
        [onParsed]: {
          value(parsed: unknown) {
            // What is put in their place may hold secrets.
            above<((args: unknown) => void) | undefined>(onParsed)?.(parsed)
            if (!put) putInto(parsed, args)
            put = true
          },
        },
        // Not seen by who copies what `execute` is told: only `invoke` asks for it.
        [entered]: {
          get(this: unknown) {
            if (this === details) entries++
            return above(entered)
          },
          enumerable: false,
        },
        signal: { get: look },
      })
      function look(this: unknown): AbortSignal {
        // `execute` may hand this to other tools. Then it can't be told who has failed.
        failed ||= this === details && entries === 1 && copy.line !== undefined && lineThatReads(look) === copy.line
        return failed ? STOPPED : signal()
      }
      const answer = await invoke(call, details)
      // With two copies of the SDK in the process, the other one does not know what it was stopped with.
      if (failed) throw Object.assign(new Error('the tool failed'), { [ANSWER]: answer })
      return answer
    },

    tell(call, error) {
      const value = () => {
        throw error
      }
      return invoke(call, withMembers(call.details, { [copy.onParsed as symbol]: { value } }))
    },
  }
}

/** What has been parsed becomes these arguments, or is the same already, with nothing hidden in it. */
function putInto(parsed: unknown, args: unknown): void {
  const remove = (key: string | symbol) => Reflect.deleteProperty(parsed as object, key)
  if (isObject(parsed) && isObject(args) && Object.isExtensible(parsed) && Reflect.ownKeys(parsed).every(remove)) {
    Object.assign(parsed, args)
    return
  }
  const hides = isObject(parsed) && Reflect.ownKeys(parsed).length > Object.keys(parsed).length
  if (hides || !isDeepStrictEqual(parsed, args)) {
    throw new Denied('invalid-arguments', 'the schema of the tool made something else of them than was judged', '')
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the SDK tells a tool, with other members. Hidden ones are kept: by them it knows its calls again. */
export function withMembers(details: Details | undefined, members: PropertyDescriptorMap): object {
  const copy = Object.create(Object.getPrototypeOf(details ?? {}), Object.getOwnPropertyDescriptors(details ?? {}))
  for (const name of Reflect.ownKeys(members)) {
    Object.defineProperty(copy, name, { enumerable: true, configurable: true, ...members[name as string] })
  }
  return copy
}
