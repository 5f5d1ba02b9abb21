/**
 * What every sink keeps, as a suite: give it a way to open yours, inside a test file of vitest. Each case gets an empty
 * sink of its own, and speaks to it as the trail does; the last ones let a real haldir do that.
 */
import type { MaybePromise } from '@haldir/core'
import { ENDED } from './sink-contract/ended.ts'
import { GOVERNED, KEEPING } from './sink-contract/governed.ts'
import { READING, REFUSING } from './sink-contract/refusing.ts'
import { type OpenedSink, type SinkCase, SinkScene } from './sink-contract/scene.ts'
import { ENDING, WRITING } from './sink-contract/writing.ts'
import { register } from './suite.ts'

export type { OpenedSink } from './sink-contract/scene.ts'

/** What only the driver of a sink can offer; see `OpenedSink`. `break` goes with `mend`. */
export type SinkWays = 'stored' | 'reopen' | 'break'

export interface SinkContract {
  readonly name: string
  /** Opens an empty sink; `open` of the sink itself is called by the cases. */
  open(): MaybePromise<OpenedSink>
  /** Cases this sink can't pass, by title, each with the reason. A title that is no case fails the suite. */
  readonly skip?: Readonly<Record<string, string>>
  /** What the driver does not offer, each with the reason; what needs it is left out. */
  readonly lacks?: Readonly<Partial<Record<SinkWays, string>>>
}

/** @internal */
export const SINK_CHAPTERS: Readonly<Record<string, readonly SinkCase[]>> = {
  'what is accepted is kept': WRITING,
  'what can not be kept is refused': REFUSING,
  'what is kept can be read': READING,
  'flushing and closing': ENDING,
  'other writers': KEEPING,
  'a writer that has ended': ENDED,
  'under a haldir': GOVERNED,
}

const WAYS: readonly SinkWays[] = ['stored', 'reopen', 'break']

/** @internal */
export function sinkOffers({ opened, sink }: SinkScene, need: string): boolean {
  if (need === 'spoil') return opened.spoil !== undefined && opened.mend !== undefined
  if (need === 'break') return opened.break !== undefined && opened.mend !== undefined
  const from = WAYS.includes(need as SinkWays) ? opened : sink
  return typeof (from as unknown as Record<string, unknown>)[need] === 'function'
}

/** Registers the suite with vitest. */
export function sinkContract({ name, open, skip, lacks }: SinkContract): void {
  register({
    title: `the sink contract: ${name}`,
    chapters: SINK_CHAPTERS,
    accounted: WAYS,
    offers: sinkOffers,
    skip,
    lacks,
    async open() {
      const opened = await open()
      return { scene: new SinkScene(opened), close: async () => opened.close() }
    },
  })
}
