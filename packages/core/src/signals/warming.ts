/**
 * Knowing agents again after a restart: what the trail says of the last weeks is learned, without a signal for it.
 * Meanwhile what happens now waits; then it is judged as if it had just come.
 */
import { setImmediate } from 'node:timers/promises'
import type { Entry } from '../watch/entry.ts'
import type { SignalEngine } from '../watch/signals/engine.ts'
import { observedEntry } from '../watch/signals/observing.ts'

/** How many entries are learned before the event loop gets its turn. */
const TURN = 500

/**
 * Learns entries until there are no more, or `enough` says so. What is learned does not depend on their order.
 */
export async function warm(
  engine: SignalEngine,
  entries: AsyncIterable<Entry>,
  enough: () => boolean,
): Promise<number> {
  let learned = 0
  for await (const entry of entries) {
    if (enough()) break
    const seen = observedEntry(entry)
    if (seen) engine.learn(seen)
    if (++learned % TURN === 0) await setImmediate()
  }
  return learned
}
