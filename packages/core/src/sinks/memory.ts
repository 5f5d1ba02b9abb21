/** A sink for development and tests: the newest lines, in memory. */
import { checkKeys } from '../options.ts'
import type { Sink, StoredChain, StoredLine } from './sink.ts'

export interface MemorySinkOptions {
  readonly required?: boolean
  /** How many lines are kept; the oldest are dropped. 100,000 unless given. */
  readonly keep?: number
}

export interface MemorySink extends Sink {
  /** The lines kept, oldest first. */
  readonly lines: readonly string[]
}

export function memorySink(options: MemorySinkOptions = {}): MemorySink {
  checkKeys(options, ['required', 'keep'], 'options of `memorySink`')
  const { required = true, keep = 100_000 } = options
  let kept: string[] = []
  let dropped = false
  return {
    name: 'memory',
    required,
    get lines() {
      return kept
    },
    write(lines) {
      let start = 0
      for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', start)) {
        kept.push(lines.slice(start, end))
        start = end + 1
      }
      // Dropped in one go, now and then: shifting an array at every entry would cost more than the entry.
      if (kept.length > keep * 2) {
        kept = kept.slice(-keep)
        dropped = true
      }
    },
    async *read(): AsyncGenerator<StoredLine> {
      const met = new Set<string>()
      const start = Math.max(0, kept.length - keep)
      for (const [index, line] of kept.slice(start).entries()) {
        const writer = writerOf(line)
        const resumes = (dropped || start > 0) && !met.has(writer)
        met.add(writer)
        yield { writer, place: `memory:${index + 1}`, line, resumes }
      }
    },
    chains(): StoredChain[] {
      const chains = Map.groupBy(kept.slice(-keep), writerOf)
      return [...chains].map(([writer, lines]) => ({
        writer,
        first: lines[0] as string,
        async *read() {
          yield lines.map((line) => ({ line }))
        },
      }))
    },
  }
}

function writerOf(line: string): string {
  return /"writer":"([^"]*)"/.exec(line)?.[1] ?? ''
}
