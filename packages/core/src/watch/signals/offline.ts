/** The same detectors over a trail that is read: signals that were missed, or what other thresholds would have raised. */
import { checkKeys } from '../../options.ts'
import type { Entry } from '../entry.ts'
import { SignalEngine } from './engine.ts'
import { observedEntry } from './observing.ts'
import { checkEngine, type EngineOptions } from './options.ts'
import type { Signal } from './signal.ts'

/**
 * The signals that entries raise, each as soon as its entry has been read; memory stays the same however many there are.
 * Entries come in the order of time, as those of `haldir.trail.query()` do. Throws `ConfigError`.
 */
export function detectSignals(entries: AsyncIterable<Entry>, options: EngineOptions = {}): AsyncGenerator<Signal> {
  checkKeys(options, ['detectors', 'agents'], 'options of `detectSignals`')
  return detect(entries, new SignalEngine(checkEngine(options)))
}

async function* detect(entries: AsyncIterable<Entry>, engine: SignalEngine): AsyncGenerator<Signal> {
  for await (const entry of entries) {
    const seen = observedEntry(entry)
    if (seen) yield* engine.observe(seen)
  }
}
