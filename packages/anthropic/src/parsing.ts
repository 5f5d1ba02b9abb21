/** What a tool's own `parse` says of what the model wrote: the runner calls it before `run`. */
import { type Misfit, misfitFrom, misfitOf } from '@haldir/core/adapter'

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
  /** By the schema, of what nobody has parsed. */
  readonly misfit: Misfit | undefined
}

export function parsing(tool: { readonly parse?: unknown }, schema: unknown): Parsing {
  const original = tool.parse
  const misfit = misfitOf(schema)
  if (typeof original !== 'function') return { parse: undefined, misfit }
  // Whether it hands on what it gets, as that of `betaTool` does. What another makes of it need not fit the schema.
  let handsOn: boolean | undefined
  const parse = (content: unknown): unknown => {
    try {
      const args = Reflect.apply(original, tool, [content])
      handsOn = args === content
      return args
    } catch (error) {
      const { issues } = (error ?? {}) as { issues?: unknown }
      const said = Array.isArray(issues) ? misfitFrom(issues) : misfit?.(content)
      return new Unfit(content, error, said ?? misfitFrom([]))
    }
  }
  return {
    parse,
    misfit:
      misfit &&
      ((args) => {
        // A loop of one's own may leave `parse` out.
        if (handsOn === undefined) parse(args)
        return handsOn ? misfit(args) : undefined
      }),
  }
}
