/** What a tool's own `parse` says of what the model wrote: the runner calls it before `run`. */
import { misfitFrom, misfitOf } from '@haldir/core/adapter'

/** Stands for arguments that `parse` turned away, and comes to the gate in their place, so that it is on record. */
export class Unfit {
  readonly content: unknown
  readonly error: unknown
  readonly misfit: string

  constructor(content: unknown, error: unknown, misfit: string) {
    this.content = content
    this.error = error
    this.misfit = misfit
  }
}

export interface Parsing {
  /** In place of the tool's own, where it has one. Answers arguments, or `Unfit`. Never throws. */
  readonly parse: ((content: unknown) => unknown) | undefined
  /** What is wrong with what `run` was given: by the tool's `parse`, and by the schema where that checks nothing. */
  misfit(given: unknown): string | undefined
}

export function parsing(tool: { readonly parse?: unknown }, schema: unknown): Parsing {
  const original = tool.parse
  const fits = misfitOf(schema)
  if (typeof original !== 'function') return { parse: undefined, misfit: (given) => fits?.(given) }
  // Whether it has handed on what it got, as that of `betaTool` does: what it has made need not fit the schema any more.
  const handedOn = new WeakMap<object, boolean>()
  const parse = (content: unknown): unknown => {
    try {
      const args = Reflect.apply(original, tool, [content])
      if (typeof args === 'object' && args !== null) handedOn.set(args, args === content)
      return args
    } catch (error) {
      const { issues } = (error ?? {}) as { issues?: unknown }
      const said = Array.isArray(issues) ? misfitFrom(issues) : fits?.(content)
      return new Unfit(content, error, said ?? misfitFrom([]))
    }
  }
  return {
    parse,
    misfit(given) {
      if (given instanceof Unfit) return given.misfit
      if (typeof given !== 'object' || given === null) return undefined
      // A loop of one's own may leave `parse` out.
      const read = handedOn.has(given) ? given : parse(given)
      if (read instanceof Unfit) return read.misfit
      return handedOn.get(given) ? fits?.(given) : undefined
    },
  }
}
