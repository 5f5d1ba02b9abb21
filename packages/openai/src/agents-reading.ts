/** What a model has written as arguments, read as the tool that it calls would read it. */
import { type Misfit, misfitFrom, misfitOf, UNREADABLE } from '@haldir/core/adapter'
import type { Invocation, MadeTool } from './agents-made.ts'

export interface Reading {
  /** What is judged. */
  readonly args: unknown
  /** Why these can't be arguments of the tool. */
  readonly misfit?: string | undefined
  /** They are what the tool's own parser makes of the text; else they are what JSON has there. */
  readonly direct: boolean
}

export type Reader = (call: Invocation) => Promise<Reading>

export function readerOf(schema: unknown, made: MadeTool | undefined): Reader {
  const fits: Misfit = misfitOf(withoutNullable(schema)) ?? (() => undefined)
  return async (call) => {
    const args = parse(call.text)
    if (args === UNREADABLE) return { args, misfit: 'the arguments are not JSON', direct: false }
    const read = await made?.read(call)
    if (!read) return { args, misfit: fits(args), direct: false }
    if ('error' in read) return { args, misfit: whatIsWrong(read.error) ?? fits(args) ?? misfitFrom([]), direct: false }
    return { args: read.args, misfit: read.checked ? undefined : fits(args), direct: true }
  }
}

/** Whatever is no text is not turned into one: that would run code of the caller's. */
function parse(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : UNREADABLE
  } catch {
    return UNREADABLE
  }
}

/** The SDK tells what did not fit only where it is allowed to log what tools are given. */
function whatIsWrong(error: unknown): string | undefined {
  const { originalError } = (error ?? {}) as { originalError?: { issues?: unknown } }
  const issues = originalError?.issues
  return Array.isArray(issues) ? misfitFrom(issues) : undefined
}

/** In strict schemas everything is required, and what may be left out may be null: to leave it out is the same. */
function withoutNullable(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(withoutNullable)
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withoutNullable(value)]))
  const { required, properties } = schema as { required?: unknown; properties?: Record<string, unknown> }
  if (Array.isArray(required)) copy.required = required.filter((name) => !takesNull(properties?.[name]))
  return copy
}

function takesNull(schema: unknown): boolean {
  const { type, anyOf } = (schema ?? {}) as { type?: unknown; anyOf?: unknown }
  return [type].flat().includes('null') || (Array.isArray(anyOf) && anyOf.some(takesNull))
}
