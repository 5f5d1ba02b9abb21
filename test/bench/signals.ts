/**
 * How well signals tell anomalies, on generated traffic: `node --conditions=@haldir/source test/bench/signals.ts [seeds]`.
 * These are the seeds that the defaults were chosen on; the test asserts floors on others.
 */
import { score } from '../evals/signals-score.ts'
import { traffic } from '../evals/signals-traffic.ts'

const seeds = process.argv.slice(2).map(Number)
const began = performance.now()
const traffics = (seeds.length > 0 ? seeds : [1, 2, 3]).map((seed) => traffic(seed))
const made = performance.now()
const { found, falseAlarms, falsePerAgentDay, beside } = await score(traffics)
const took = performance.now() - made
const entries = traffics.reduce((sum, one) => sum + one.entries.length, 0)

for (const [kind, { of, found: told, daysUntil }] of found) {
  const late = daysUntil >= 1 ? `, the last after ${daysUntil.toFixed(0)} days` : ''
  console.log(`${kind.padEnd(24)} ${told} of ${of}${late}`)
}
for (const [signal, count] of falseAlarms) console.log(`false: ${signal.padEnd(34)} ${count}`)
console.log(`false alarms per agent and day  ${falsePerAgentDay.toFixed(4)}   (beside anomalies: ${beside})`)
const each = ((took * 1_000) / entries).toFixed(2)
console.log(`${entries} entries, ${each} µs each (made in ${((made - began) / 1_000).toFixed(1)} s)`)
