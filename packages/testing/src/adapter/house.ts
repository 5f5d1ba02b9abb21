/** What every case of the adapter contract starts from: a haldir of its own, a trail to look into, a few tools. */
import {
  createHaldir,
  type Entry,
  envKey,
  type Filter,
  type Haldir,
  type HaldirOptions,
  type Session,
} from '@haldir/core'
import { type MemorySink, memorySink } from '@haldir/core/sinks/memory'
import { expect } from 'vitest'
import type { AdapterDriver, Answer, ToolBody } from './driver.ts'

/** A case of the contract; its title says what an adapter must do. */
export type Cases = Readonly<Record<string, (driver: AdapterDriver) => Promise<void>>>

export interface House extends AsyncDisposable {
  readonly haldir: Haldir
  readonly sink: MemorySink
  newSession(...scopes: string[]): Promise<Session>
  entries(filter?: Filter): Promise<Entry[]>
}

export function house(options: HaldirOptions = {}): House {
  const sink = memorySink()
  const keys = [envKey('CONTRACT_KEY', { env: { CONTRACT_KEY: 'c0'.repeat(32) } })]
  const haldir = createHaldir({ sinks: [sink], vault: { keys }, ...options })
  return {
    haldir,
    sink,
    newSession: (...scopes) => haldir.createSession({ agent: 'contract', scopes }),
    async entries(filter = {}) {
      const found: Entry[] = []
      for await (const entry of haldir.trail.query(filter)) found.push(entry)
      return found
    },
    [Symbol.asyncDispose]: () => haldir.close(),
  }
}

/** A body that answers `value`, or what `value` makes of the arguments, and keeps the arguments it got. */
export function bodyOf(
  name: string,
  value: unknown,
): ToolBody & { readonly got: unknown[]; readonly run: (args: unknown) => Promise<unknown> } {
  const got: unknown[] = []
  return {
    name,
    description: `the tool ${name}`,
    got,
    async run(args) {
      got.push(args)
      return typeof value === 'function' ? value(args) : value
    },
  }
}

/** An argument no denial may repeat. */
export const CANARY = 'argument-canary-5c1f'

/** What a refused model reads: one safe sentence. */
export function expectDenial({ read }: Answer, code: string): void {
  expect(read).toMatch(new RegExp(`^Denied \\(${code}\\): `))
  expect(read).not.toContain(CANARY)
  expect(read).not.toContain('\n')
  expect(read.replace(/do not (retry|repeat)/gi, '')).not.toMatch(/try again|retry|repeat|fix your/i)
}

/** Something that one side waits for and the other side opens. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}
