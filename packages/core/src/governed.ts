/** `governed` for any function: the wrapper of core. Frameworks have their own, in their own packages. */
import {
  type GovernedHandle,
  governTool,
  isGeneratorFunction,
  isIterable,
  markWrapped,
  misfitOf,
  refuseTwice,
  type ToolOptions,
  thrownFor,
  type Where,
  wrapAny,
} from './adapter.ts'
import { currentFrame, keepFrame } from './context.ts'
import { ConfigError } from './errors.ts'
import { jsonSchemaOf } from './json-schema.ts'

/** A function that can be governed: none or one plain-data argument; it answers a promise, or items. */
export type GovernableFunction = (args?: any) => Promise<unknown> | AsyncIterable<unknown>

type ArgsOf<F> = F extends (args: infer A, ...rest: any[]) => unknown ? A : undefined
type ResultOf<F> = F extends (...args: any[]) => infer R
  ? R extends AsyncIterable<infer Item>
    ? Item
    : Awaited<R>
  : never

export interface FunctionOptions<Args = any, Result = any> extends ToolOptions<Args, Result> {
  /** Says that the function answers items although it is no `async function*`. */
  readonly streaming?: boolean
  /**
   * What its argument looks like, as a zod schema or JSON Schema: a call whose argument does not fit is refused, rules
   * that read an argument it does not have are found by it, and it is part of the tool's hash. Nothing is converted.
   */
  readonly schema?: unknown
}

/** Wraps one function. The result has the same type, name and `this`. Throws `ConfigError` at once for bad options. */
export function governed<F extends GovernableFunction>(
  fn: F,
  options: FunctionOptions<ArgsOf<NoInfer<F>>, ResultOf<NoInfer<F>>> & { readonly name: string },
  where?: Where,
): F
/** Wraps several functions, each under its key. Every key needs options. */
export function governed<S extends Record<string, GovernableFunction>>(
  functions: S,
  options: { readonly [K in keyof S]: FunctionOptions<ArgsOf<S[K]>, ResultOf<S[K]>> },
  where?: Where,
): S
export function governed(target: unknown, options: any, where: Where = {}): unknown {
  if (typeof target === 'function') {
    const { name, ...rest } = optionsOf(options)
    return wrap(target as GovernableFunction, name as string, rest as FunctionOptions, where)
  }
  return wrapAny<GovernableFunction, FunctionOptions>(target, options, {
    own: '@haldir/core',
    isTool: (value) => typeof value === 'function',
    wrap: (fn, name, own) => wrap(fn, name, own, where),
  })
}

function optionsOf(options: any): FunctionOptions & { readonly name?: unknown } {
  if (typeof options === 'object' && options !== null) return options
  throw new ConfigError('invalid-option', 'options', '`options` is an object: at least a `name` and a `scope`')
}

/** What `run` needs beyond the arguments: the receiver, and whether there was an argument at all. */
interface Invocation {
  readonly self: unknown
  readonly bare: boolean
}

function wrap(fn: GovernableFunction, name: string, options: FunctionOptions, where: Where): GovernableFunction {
  refuseTwice(fn, name)
  const { streaming = isGeneratorFunction(fn), schema: described, ...rest } = options
  const schema = described === undefined ? undefined : jsonSchemaOf(described)
  if (described !== undefined && schema === undefined) {
    throw new ConfigError(
      'invalid-option',
      'schema',
      '`schema` is JSON Schema, or a schema that can be written as such',
    )
  }
  const handle = governTool(
    {
      framework: 'function',
      name,
      options: rest,
      definition: { name, schema },
      schema,
      misfit: misfitOf(schema),
      run: (args, _call, context) => {
        const { self, bare } = (context as Invocation | undefined) ?? RESUMED
        // A secret may have made an argument of none.
        const answer = Reflect.apply(fn, self, bare && args === undefined ? [] : [args])
        if (!streaming && isIterable(answer)) throw new ConfigError('invalid-option', 'streaming', UNANNOUNCED)
        return answer
      },
    },
    where,
  )
  const wrapper = streaming ? streamingWrapper(handle) : plainWrapper(handle)
  // Frameworks and stack traces read a function's name.
  Object.defineProperty(wrapper, 'name', { value: fn.name, configurable: true })
  Object.defineProperty(wrapper, 'length', { value: fn.length, configurable: true })
  markWrapped(wrapper)
  return wrapper
}

function plainWrapper(handle: GovernedHandle): GovernableFunction {
  return async function (this: unknown, ...args: unknown[]) {
    const outcome = await handle.execute(requestFor(this, args))
    if (outcome.status === 'ran') return outcome.value
    throw thrownFor(outcome)
  }
}

function streamingWrapper(handle: GovernedHandle): GovernableFunction {
  return function (this: unknown, ...args: unknown[]) {
    const request = requestFor(this, args)
    const items = (async function* () {
      const outcome = await handle.stream(request)
      if (outcome.status === 'ran') yield* outcome.items
      else throw thrownFor(outcome)
    })()
    // The session is the one at the call, wherever the items are read.
    const frame = currentFrame()
    return frame ? keepFrame(frame, () => items) : items
  }
}

/** More than one argument can't be governed: the rest would reach the tool unjudged. */
function requestFor(self: unknown, args: unknown[]): { args: unknown; context: Invocation } {
  const given = args.length > 1 ? args : args[0]
  return { args: args.length > 1 ? TOO_MANY : given, context: { self, bare: args.length === 0 } }
}

/** A call that is resumed has no caller of its own. */
const RESUMED: Invocation = { self: undefined, bare: true }

// A function is refused by the snapshot, with its reason; so is a call with too many arguments.
const TOO_MANY = { more_than_one_argument: () => {} }

const UNANNOUNCED = 'a function that answers items is wrapped with `streaming: true`'
