/**
 * What surrounds running code: the ambient session and the current call. It lives under one key of the global object,
 * so that two copies of this package in one process (bundlers make them) still see the same sessions and tools.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { types } from 'node:util'
import type { CurrentCall } from './current-call.ts'
import { ConfigError } from './errors.ts'
import type { Session } from './gate/sessions.ts'
import type { GovernedTool, Governor } from './governor.ts'

/** The session that code runs under, and the governed call it is part of, if any. */
export interface Frame {
  readonly session: Session
  readonly call?: CurrentCall
}

interface Shared {
  readonly frames: AsyncLocalStorage<Frame>
  /** The haldirs that are open, held weakly: one that nobody uses any more must not count as the only one. */
  readonly haldirs: Set<WeakRef<Governor>>
  /** What `governed` has made, so that nothing is wrapped twice, and the way into the path that it was made with. */
  readonly wrapped: WeakMap<object, unknown>
  /** Every tool that was wrapped, or left alone on purpose, for `surface()`; held weakly. */
  readonly tools: Set<WeakRef<WrappedTool>>
}

/** A tool as it was wrapped. Without `governor` it belongs to whatever haldir its calls come under. */
export interface WrappedTool {
  readonly name: string
  readonly framework: string
  /** Absent: its calls can't be governed, and the developer has said that this is all right. */
  readonly tool: GovernedTool | undefined
  readonly governor: Governor | undefined
  /** The id of the session that it was wrapped for: calls under any other are refused. */
  readonly session?: string
}

const KEY = Symbol.for('haldir.shared.v1')
const home = globalThis as { [KEY]?: Shared }
if (!home[KEY]) {
  const shared: Shared = {
    frames: new AsyncLocalStorage(),
    haldirs: new Set(),
    wrapped: new WeakMap(),
    tools: new Set(),
  }
  Object.defineProperty(home, KEY, { value: Object.freeze(shared) })
}
const { frames, haldirs, wrapped, tools } = home[KEY] as Shared

/** The frame of the code that is running now. */
export function currentFrame(): Frame | undefined {
  return frames.getStore()
}

/** Runs a function, and everything it starts, in a frame. */
export function inFrame<A extends unknown[], R>(frame: Frame, work: (...args: A) => R, ...args: A): R {
  return frames.run(frame, work, ...args)
}

/** The governed call that is running. Throws `ConfigError` outside of one. */
export function currentCall(): CurrentCall {
  const call = frames.getStore()?.call
  if (!call) throw new ConfigError('invalid-option', 'currentCall', '`currentCall()` works only inside a governed tool')
  return call
}

/**
 * Runs a function in a frame, and what it answers with, where that begins only later: a generator's body runs where
 * `next` is called, and a lazy object (a runner, a query) where it is awaited or iterated, which is outside by then.
 */
export function keepFrame<T>(frame: Frame, work: () => T): T {
  const answer = frames.run(frame, work)
  if (isGenerator(answer)) return keepSteps(frame, answer)
  return isLazy(answer) ? keepBegin(frame, answer) : answer
}

type Iterator = Partial<Record<'next' | 'return' | 'throw', (value: unknown) => unknown>>

function isGenerator(answer: unknown): answer is Iterator & object {
  const tag = Object.prototype.toString.call(answer)
  return tag === '[object AsyncGenerator]' || tag === '[object Generator]'
}

function stepsOf(frame: Frame, inner: Iterator): Iterator {
  const outer: Iterator = {}
  for (const name of ['next', 'return', 'throw'] as const) {
    if (inner[name]) outer[name] = (value) => frames.run(frame, () => inner[name]?.(value))
  }
  return outer
}

function keepSteps<T extends Iterator>(frame: Frame, generator: T): T {
  return Object.setPrototypeOf(stepsOf(frame, generator), Object.getPrototypeOf(generator))
}

/** It can be awaited or iterated. A promise is not lazy, for what it stands for runs already; those of some classes are. */
function isLazy(answer: unknown): answer is object {
  if (typeof answer !== 'object' || answer === null || types.isProxy(answer) || !Object.isExtensible(answer))
    return false
  const { then, [Symbol.asyncIterator]: iterate } = answer as Partial<PromiseLike<unknown> & AsyncIterable<unknown>>
  return typeof iterate === 'function' || (typeof then === 'function' && then !== Promise.prototype.then)
}

/** The very same object, so that it is still an instance of its class; only how it begins is put in the frame. */
function keepBegin<T extends object>(frame: Frame, lazy: T): T {
  const replace = (way: PropertyKey, with_: (original: (...args: unknown[]) => unknown) => unknown): void => {
    const original = (lazy as Record<PropertyKey, unknown>)[way]
    if (typeof original !== 'function') return
    const value = with_((...args) => frames.run(frame, () => Reflect.apply(original, lazy, args)))
    Reflect.defineProperty(lazy, way, { value, configurable: true, writable: true })
  }
  for (const way of ['then', 'catch', 'finally']) {
    // What is called back is the caller's, and runs where that is.
    const own = (callback: unknown) =>
      typeof callback === 'function' ? AsyncLocalStorage.bind(callback as never) : callback
    replace(
      way,
      (begin) =>
        (...callbacks: unknown[]) =>
          begin(...callbacks.map(own)),
    )
  }
  replace(Symbol.asyncIterator, (begin) => () => {
    const items = begin() as Iterator
    if (isGenerator(items)) return keepSteps(frame, items)
    return Object.assign(stepsOf(frame, items), {
      [Symbol.asyncIterator]() {
        return this
      },
    })
  })
  return lazy
}

export function joinHaldirs(governor: Governor): () => void {
  const held = new WeakRef(governor)
  haldirs.add(held)
  return () => haldirs.delete(held)
}

/** The one haldir that is open in this process; `undefined` when there is none, or more than one. */
export function onlyHaldir(): Governor | undefined {
  const [only, ...others] = openHaldirs()
  return others.length > 0 ? undefined : only
}

export function openHaldirs(): Governor[] {
  const open: Governor[] = []
  for (const held of haldirs) {
    const governor = held.deref()
    if (governor) open.push(governor)
    else haldirs.delete(held)
  }
  return open
}

/** Remembers what was wrapped; throws when it was before. */
export function refuseTwice(tool: object, name: string): void {
  if (wrapped.has(tool)) throw new ConfigError('wrapped-twice', name, `\`${name}\` is governed already`)
}

export function markWrapped(tool: object, handle?: unknown): void {
  wrapped.set(tool, handle)
}

/** What it was marked with; nothing, for what is not wrapped. */
export function wrappedWith(tool: unknown): unknown {
  return typeof tool === 'function' || (typeof tool === 'object' && tool !== null) ? wrapped.get(tool) : undefined
}

/** Lists a tool for as long as somebody keeps what is listed. */
export function listTool(wrapped: WrappedTool): void {
  // Whoever wraps tools for each request must not leave a trace of every one of them.
  if (tools.size >= sweepAt) {
    for (const held of tools) if (!held.deref()) tools.delete(held)
    sweepAt = Math.max(FEW, tools.size * 2)
  }
  tools.add(new WeakRef(wrapped))
}

const FEW = 1_000
/** At how many listed tools those that are gone are looked for. */
let sweepAt = FEW

/** The tools in this process that calls of a haldir may come from. */
export function toolsOf(governor: Governor): WrappedTool[] {
  const found: WrappedTool[] = []
  for (const held of tools) {
    const wrapped = held.deref()
    if (!wrapped) tools.delete(held)
    else if (!wrapped.governor || wrapped.governor === governor) found.push(wrapped)
  }
  return found
}
