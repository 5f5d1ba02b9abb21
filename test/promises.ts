/**
 * Every promise Haldir makes, as data: what it set out to do, and the invariants of its design. A test names the
 * promises it proves with `proves(…)`; `promises.test.ts` fails for a promise that no test names.
 */
import { type Entry, entrySchema } from '@haldir/core'

export const PROMISES = {
  // What Haldir is for
  'scoped-permissions': 'A session does only what its scopes allow',
  'no-session-no-access': 'Without a session nothing runs',
  'session-ttl': 'A session ends by itself',
  'instant-revoke': 'A session can be revoked instantly',
  'per-session-budget': 'A session never spends more than its budget',
  'secrets-sealed': 'Credentials are encrypted at rest',
  'secrets-scoped': 'A secret is revealed only to a call whose session holds its scope',
  'agents-never-see-keys': 'The model never reads a credential',
  'every-call-logged': 'Every call is recorded with time, agent, session and cost',
  'trail-query': 'The trail can be queried by agent',
  'trail-pages': 'A reader of pages meets every entry once, whatever is written meanwhile, by whom and with what time',
  'trail-spend': 'What was spent is told exactly, from the outcomes, and apart from it what nobody knows the end of',
  'trail-index': 'An index answers what the files answer, whatever becomes of them, and can be built anew',
  'trail-export': 'An export says what it is: a change to it, or to what it says, is found',
  'trail-survives':
    'What was acknowledged is on record whatever dies or fails: the process, the disk, any system call of the file sink',
  'trail-kept': 'Files are deleted only when asked, whole and old enough, and not before that is on record',
  'trail-immutable': 'A change to the trail is found, and named',
  'trail-signed': 'Signed heads cover every entry before them: what was signed can not be rewritten unnoticed',
  'trail-proofs':
    'An entry is proved to be in the trail, and a trail to be only appended to, to anyone with the public key',
  'trail-witnessed': 'What a witness was shown can not be cut off unnoticed, and a witness holds no call up',
  'framework-agnostic': 'Governing works inside the loop of a real framework',
  'one-session': 'One session governs tools of several frameworks at once, on one budget and one trail',
  'shown-is-permitted': 'A model need not be shown what its session can not use; each call is judged all the same',
  'misfits-refused': 'Arguments that do not fit a tool are refused before anything is held, and repeat no value',
  'parts-of-your-own': 'A store, a sink, a guard or an adapter of one’s own is held to what those of the house are',

  // The invariants of the design
  'invariant-1': 'Nothing runs without an accepted intent entry; what was taken and did not run is closed',
  'invariant-2': 'What runs equals what was judged, hashed and recorded',
  'invariant-3': 'held + used never exceeds a limit, under any concurrency; a true cost above its hold is recorded',
  'invariant-4': 'A hold ends once: settled or released; time orphans it, and an orphan is counted',
  'invariant-5': 'After revoke returns nothing of that session or its descendants is admitted, in any process',
  'invariant-6': 'A broken store, sink, key or policy refuses',
  'invariant-7': 'Revealed secrets appear in no entry, error, result, print or yield',
  'invariant-8': 'An approval is used once, for the same digest, session, tool and asking rules, before it expires',
  'invariant-9': 'A child session can never do what its parent could not',
  'invariant-10': 'Time, randomness and ids are injected; a clock going backwards extends nothing',

  // Policy, guards, and seeing what is governed
  'policy-judges': 'A call is judged by a policy: deny, then ask, then allow; each decision names rule and reason',
  'policy-swap': 'A policy is swapped in one step and recorded before its first verdict',
  'policy-fits': 'A rule that reads an argument its tool does not have is found before it is relied on',
  'guards-stricter': 'A guard can only make a verdict stricter; one that fails refuses in time',
  'surface-complete': 'Everything that is governed, and what is not, can be listed',
  'explain-true': 'What is explained is what a call decides',

  // Trails that go elsewhere
  'shipped-once': 'What a spool has accepted reaches its collector once, whatever dies or is down meanwhile',

  // Credentials that are not in the vault
  'credentials-found': 'A credential nobody put into the vault is flagged or redacted in results, or its call refused',

  // What the trail holds of arguments
  'args-recorded': 'Of arguments the trail holds what a tool names, as it names it, and nothing else',
  'args-found': 'Entries that hold a known value are found by it, and nobody else reads the value out of them',
  'args-erased': 'What was sealed can be opened until its key is destroyed; after that by nobody, and the chain stands',

  // Telemetry
  'telemetry-tells': 'Every call leaves a span: of its run, or of the decision that it does not run',
  'telemetry-harmless': 'Telemetry that throws, hangs or answers nonsense touches no call',

  // What is not as usual
  'signals-raised': 'What is not as usual is told of: a spike, odd hours, denials, a first use, a burst, a loop',
  'signals-ask': 'A signal can turn the next calls into questions for a person',
  'suspend-everywhere': 'A suspended session and what it delegated act in no process until it is released',
  'signals-warm': 'Agents are known again after a restart',
  'signals-measured': 'How many anomalies are found and how often signals are wrong is measured on traffic',

  // Trying it out
  'shadow-runs': 'In shadow mode whatever would be refused runs, and is recorded and counted as such',
  'shadow-apart': 'In shadow mode nothing counts on a real meter',
  'shadow-broken-parts': 'In shadow mode a broken part stops nothing',
} as const

export type PromiseId = keyof typeof PROMISES

/** Marks the test it stands in as a proof. Does nothing when run: the coverage test reads the sources. */
export function proves(..._ids: PromiseId[]): void {}

/** Parses lines of a trail; each must be an entry by the published schema. */
export function entriesOf(lines: readonly string[]): Entry[] {
  return lines.map((line) => entrySchema.parse(JSON.parse(line)))
}
