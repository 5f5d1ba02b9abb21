/** Whether the store answers. Every verb that a haldir asks of its store passes here, whoever asks. */
import { isPromise, type MaybePromise, whenGivenUp } from './clock.ts'
import { HaldirError, Unavailable } from './errors.ts'
import type { Faults } from './faults.ts'
import type { AdmitRequest, Hint, SettleRequest, Store } from './stores/store.ts'

type Verb = (...args: unknown[]) => unknown
type Groups = Pick<Store, 'session' | 'meters' | 'hold' | 'secret' | 'writer' | 'approval'>

/** The verbs that stand in groups. */
const GROUPS: { readonly [Group in keyof Groups]: Record<keyof Groups[Group], true> } = {
  session: { create: true, get: true, extend: true, revokeTree: true, suspendTree: true, resumeTree: true },
  meters: { read: true },
  hold: { get: true },
  secret: { put: true, get: true, list: true, rewrap: true, used: true, delete: true },
  writer: { put: true, list: true },
  approval: {
    request: true,
    get: true,
    find: true,
    list: true,
    change: true,
    use: true,
    expire: true,
    due: true,
    shown: true,
    later: true,
    note: true,
  },
}

export class StoreHealth {
  /** Whether the last thing that the store did was to answer. */
  ok = true
  /** Called when it answers after it had failed. */
  again: () => void = () => {}
  readonly #faults: Faults

  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** What a verb has answered. At once: a field is written. Later: it counts when it is there, or nobody waits any more. */
  heard<T>(part: string, answer: MaybePromise<T>): MaybePromise<T> {
    if (!isPromise(answer)) {
      this.#answered()
      return answer
    }
    let waited = true
    const heard = Promise.resolve(answer).then(
      (value) => {
        // What comes after the deadline is no sign of a store in good order.
        if (waited) this.#answered()
        return value
      },
      (error) => {
        throw waited ? this.failed(part, error) : error
      },
    )
    whenGivenUp(heard, (error) => {
      waited = false
      this.failed(part, error)
    })
    return heard
  }

  #answered(): void {
    if (this.ok) return
    this.ok = true
    this.again()
  }

  /** Counts what a verb threw, and answers what is to be thrown on. */
  failed(part: string, error: unknown): unknown {
    // A refusal is an answer, and what the developer wrote wrongly never came so far: neither says how the store is.
    if (HaldirError.isInstance(error) && error.code !== 'unavailable') return error
    this.ok = false
    const known = typeof error === 'object' && error !== null ? error : new Unavailable(`\`${part}\` failed`)
    this.#faults.count(part, known)
    return known
  }
}

/** A store whose health is kept. */
export interface MindedStore extends Store {
  readonly health: StoreHealth
}

/** The same store, with its health kept. `close` is called in place of its own. */
export function mindedStore(store: Store, health: StoreHealth, close: () => Promise<void>): MindedStore {
  function minded<Args extends unknown[], T>(part: string, verb: (...args: Args) => MaybePromise<T>) {
    return (...args: Args): MaybePromise<T> => {
      try {
        return health.heard(part, verb(...args))
      } catch (error) {
        throw health.failed(part, error)
      }
    }
  }
  // Verbs are looked up when they are called: a store may be a proxy of one that is not open yet.
  const groups = Object.entries(GROUPS).map(([group, verbs]) => {
    const target = () => store[group as keyof Groups] as unknown as Record<string, Verb>
    const all = Object.keys(verbs).map((verb) => [
      verb,
      minded(`store.${group}.${verb}`, (...args: unknown[]) => target()[verb]?.(...args)),
    ])
    return [group, Object.fromEntries(all)]
  })
  const own: Omit<MindedStore, 'watch'> = {
    health,
    ...(Object.fromEntries(groups) as Groups),
    admit: minded('store.admit', (request: AdmitRequest) => store.admit(request)),
    reserve: minded('store.reserve', (request: AdmitRequest) => store.reserve(request)),
    settle: minded('store.settle', (request: SettleRequest) => store.settle(request)),
    cancel: minded('store.cancel', (call: string) => store.cancel(call)),
    renew: minded('store.renew', (calls: readonly string[], leaseMs: number) => store.renew(calls, leaseMs)),
    expire: minded('store.expire', (limit: number) => store.expire(limit)),
    close,
  }
  // Hints are no answers; one that has none to give has no such verb.
  const watch = () => store.watch && ((listener: (hint: Hint) => void) => store.watch?.(listener))
  return Object.defineProperty(own, 'watch', { get: watch }) as MindedStore
}
