/** What the types of a tool say of its arguments and its results. */
import type { ToolRule } from './governed.ts'
import type { GovernableTool } from './shape.ts'

type Callback = (...args: any[]) => any

type LocalOf<T> = T extends { readonly $callback: infer F }
  ? NonNullable<F>
  : T extends { readonly function: { readonly function: infer F } }
    ? F
    : T extends { readonly function: infer F extends Callback }
      ? F
      : Callback

/** What is judged: of a function that takes the model's text, the object in it. */
type Judged<A> = 0 extends 1 & A ? any : A extends string ? Record<string, any> : A extends Schema<infer O> ? O : A

/** In openai 5, `zodFunction` has the schema in the place of the arguments. */
type Schema<O> = { readonly _output: O; readonly _input: unknown }

export type ArgsOf<T> = LocalOf<T> extends (args: infer A, ...rest: any[]) => any ? Judged<A> : any
export type ResultOf<T> = LocalOf<T> extends (...args: any[]) => infer R ? Awaited<R> : any

/** A rule for each tool of a list: by names where the types know them, else by any. */
export type ListRules<L extends readonly GovernableTool[]> =
  string extends NameOf<L[number]>
    ? { readonly [name: string]: ToolRule }
    : { readonly [T in L[number] as NameOf<T>]: ToolRule<ArgsOf<T>, ResultOf<T>> }

type NameOf<T> = T extends { readonly function: { readonly name: infer N extends string } }
  ? N
  : T extends { readonly name: infer N extends string }
    ? N
    : string
