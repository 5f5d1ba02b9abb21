/** What programs said of their calls, held against what stands in the files. */

import { createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { verifyFiles } from '@haldir/core/verify'
import { expect } from 'vitest'
import { Program, type scratch } from './process.ts'
import type { RecordInput } from './programs/record.ts'
import { callsWith, missing, type Recorded, recorded } from './records.ts'

/** Calls whose tool has run, and calls that were told to have ended. */
export class Acknowledged {
  readonly begun: Set<string> = new Set()
  readonly done: Set<string> = new Set()
  refused = 0

  hear(lines: readonly string[]): this {
    for (const line of lines) {
      const [word, rest = ''] = line.split(' ')
      if (word === 'begun') this.begun.add(rest)
      else if (word === 'done') this.done.add(rest)
      else if (word === 'refused') {
        expect(line).toBe('refused unavailable')
        this.refused++
      }
    }
    return this
  }

  /** Asserts that everything is on record, in every file as anyone can read it. */
  expectIn(entries: readonly Recorded[]): void {
    expect(missing(this.begun, callsWith(entries, 'intent'))).toEqual([])
    expect(missing(this.done, callsWith(entries, 'outcome'))).toEqual([])
  }
}

/** Opens an audit folder as the next start does, closes it, and asserts that the trail is whole. */
export async function expectWholeAfterNextStart(directory: string): Promise<Recorded[]> {
  const haldir = createHaldir({ sinks: [fileSink(directory)] })
  await haldir.createSession({ agent: 'next', scopes: ['read'] })
  await haldir.close()
  expect((await verifyFiles(directory)).problems).toEqual([])
  return recorded(directory)
}

/** What programs need to start in a third of the time: one that ends in good order leaves behind what it compiled. */
export async function compiled(folder: ReturnType<typeof scratch>): Promise<Readonly<Record<string, string>>> {
  const env = { NODE_COMPILE_CACHE: folder.path('compiled') }
  const input: RecordInput = { audit: folder.path('first'), sink: {}, lanes: 0 }
  expect(await new Program('record', input, { env }).ended).toBe(0)
  return env
}
