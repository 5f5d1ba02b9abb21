/**
 * From the text that a model wrote to the arguments that are judged. What can't be read is not thrown: the SDK would
 * answer the model itself, or give the run up, and the call would be on no record. It goes to the gate as a misfit.
 */
import { type Misfit, misfitFrom, UNREADABLE } from '@haldir/core/adapter'
import type { Parse } from './shape.ts'

/** What came of reading: arguments, and why they do not fit if they don't. */
export interface Read {
  readonly args: unknown
  readonly misfit?: string | undefined
}

const NOT_JSON = 'the arguments are not valid JSON'
const ODD = 'the arguments are not what the tool can read'

/** Stand in for arguments that do not fit, between the reading of a text and the gate. */
const marks = new WeakMap<object, Read>()

function mark(misfit: string, args: unknown = UNREADABLE): object {
  const standIn = Object.freeze({})
  marks.set(standIn, { args, misfit })
  return standIn
}

/** What stands behind the answer of one of the functions below. */
export function readOf(answer: unknown): Read {
  return (typeof answer === 'object' && answer !== null ? marks.get(answer) : undefined) ?? { args: answer }
}

/** The text as JSON. No text at all is what some models write for no arguments. */
export function readJson(text: unknown): unknown {
  if (typeof text !== 'string') return text
  try {
    return JSON.parse(textOr(text))
  } catch {
    return mark(NOT_JSON)
  }
}

function textOr(text: string): string {
  return text.trim() === '' ? '{}' : text
}

/**
 * A tool's own `parse`, answering what it answers, or a mark. `misfit` tells by the schema that the model was shown: of
 * every text, where the tool's own word may be none (`always`), else only why what it could not read does not fit.
 */
export function reader(parse: Parse, owner: object, misfit: Misfit | undefined, always: boolean): Parse {
  const unfit = (text: string): string | undefined => {
    const json = readJson(text)
    return readOf(json).misfit ?? misfit?.(json)
  }
  const failed = (text: string, error: unknown): object => {
    const { issues } = (error ?? {}) as { issues?: unknown }
    return mark(Array.isArray(issues) && issues.length > 0 ? misfitFrom(issues) : (unfit(text) ?? ODD))
  }
  const passed = (text: string, read: unknown): unknown => {
    const why = always ? unfit(text) : undefined
    // What is no JSON, a tool may still read in a way of its own.
    return why === undefined || why === NOT_JSON ? read : mark(why, read)
  }
  return (text) => {
    try {
      const read = Reflect.apply(parse, owner, [textOr(text)])
      if (typeof (read as PromiseLike<unknown> | null | undefined)?.then !== 'function') return passed(text, read)
      return Promise.resolve(read).then(
        (later) => passed(text, later),
        (error) => failed(text, error),
      )
    } catch (error) {
      return failed(text, error)
    }
  }
}
