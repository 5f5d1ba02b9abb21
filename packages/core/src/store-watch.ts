/**
 * What other processes do to the sessions that are used here, felt while calls run. The store may tell of it; a hint is
 * only a reason to look, and what then stands in the store decides. Hints may be lost, so sessions whose calls run are
 * looked at now and then, too.
 */
import { background, disregard } from './clock.ts'
import { Unavailable } from './errors.ts'
import type { Session } from './gate/sessions.ts'
import type { House } from './pass.ts'
import type { SessionHandles } from './session-handles.ts'
import { readSession } from './session-rows.ts'
import type { Hint } from './stores/store.ts'

/** How many rows are read at once. */
const AT_ONCE = 8
/** How often the sessions of running calls are looked at, told or not. */
const LOOK_MS = 5_000
/** How often everything is looked at, at most. */
const EVERYTHING_MS = 1_000
/** A row that could not be read is read again after this; each time it fails again, after twice as long. */
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000

export class StoreWatch {
  readonly #house: House
  readonly #handles: SessionHandles
  // Timers and the store hold it weakly: a haldir that nobody uses any more goes, though nobody has closed it.
  readonly #self: WeakRef<StoreWatch> = new WeakRef(this)
  #begun = false
  #closed = false
  #stop: (() => void) | undefined
  #heard = 0
  readonly #due = new Set<string>()
  readonly #reading = new Set<string>()
  readonly #failed = new Set<string>()
  #pauseMs = FIRST_PAUSE_MS
  #everything = false
  #looking = false
  readonly #timers = new Map<'look' | 'everything' | 'retry', () => void>()

  constructor(house: House, handles: SessionHandles) {
    this.#house = house
    this.#handles = handles
  }

  /** Opens a handle. What is told of while its row is on the way is looked at when there is a handle to tell. */
  async opening<T extends Session | undefined>(open: () => Promise<T>): Promise<T> {
    this.#begin()
    const heard = this.#heard
    const session = await open()
    if (session && this.#heard !== heard) this.#look([session.id])
    return session
  }

  /** A call runs. */
  running(): void {
    if (this.#looking) return
    this.#looking = true
    this.#later('look', LOOK_MS, (own) => {
      own.#looking = false
      const { running } = own.#house
      if (running.size === 0) return
      own.#look([...running].map(({ session }) => session?.id))
      own.running()
    })
  }

  close(): void {
    this.#closed = true
    for (const stop of this.#timers.values()) stop()
    this.#stop?.()
    abandoned.unregister(this)
  }

  #begin(): void {
    if (this.#begun || this.#closed) return
    this.#begun = true
    const { store, faults } = this.#house
    const self = this.#self
    try {
      if (!store.watch) return
      const answer: unknown = store.watch((hint) => {
        const own = self.deref()
        if (own) own.#hear(hint)
      })
      disregard(answer)
      if (typeof answer !== 'function') throw new Unavailable('`store.watch` answered nonsense')
      this.#stop = stopping(answer as () => unknown)
      abandoned.register(this, this.#stop, this)
    } catch (error) {
      // Then there are no hints, and looking now and then has to do.
      faults.note('store.watch', error)
    }
  }

  #hear(hint: Hint): void {
    if (this.#closed) return
    this.#heard++
    try {
      if (hint.about === 'everything') this.#hearAll()
      else if (!Array.isArray(hint.ids)) throw new Unavailable('`store.watch` told nonsense')
      else if (hint.about === 'sessions') this.#look(hint.ids)
      else if (hint.about === 'approvals') this.#house.approvals?.heard(hint.ids)
    } catch (error) {
      this.#house.faults.note('store.watch', error)
    }
  }

  /** At once, and then not again for a while, however often it is told. */
  #hearAll(): void {
    if (this.#timers.has('everything')) {
      this.#everything = true
      return
    }
    this.#everything = false
    this.#look(this.#handles.ids())
    this.#house.approvals?.heard()
    this.#later('everything', EVERYTHING_MS, (own) => {
      if (own.#everything) own.#hearAll()
    })
  }

  /** Reads the rows of those that live here, each once, however often it is asked for meanwhile. */
  #look(ids: Iterable<unknown>): void {
    for (const id of ids) {
      const session = typeof id === 'string' ? this.#handles.get(id) : undefined
      if (session && !session.over()) this.#due.add(session.id)
    }
    this.#readDue()
  }

  #readDue(): void {
    for (const id of this.#due) {
      if (this.#closed || this.#reading.size >= AT_ONCE) return
      // What is being read may have been read too early: it is read again after that.
      if (this.#reading.has(id)) continue
      this.#due.delete(id)
      this.#reading.add(id)
      void this.#read(id).finally(() => {
        this.#reading.delete(id)
        this.#readDue()
      })
    }
  }

  /** Never rejects. */
  async #read(id: string): Promise<void> {
    const { store, clock, faults } = this.#house
    try {
      const row = await readSession(this.#house, () => store.session.get({ id }), 'store.session.get', false)
      const session = this.#handles.get(id)
      if (this.#closed || !session) return
      // One that the store does not know is not ended by that: it refuses the next call itself.
      if (row && (row.id !== id || row.tenant !== session.tenant || row.agent !== session.agent)) {
        throw new Unavailable('`store.session.get` answered nonsense')
      }
      if (row) session.refresh(row, row.expiresAt - clock.now())
      this.#pauseMs = FIRST_PAUSE_MS
    } catch (error) {
      if (this.#closed) return
      faults.note('store.session.get', error)
      this.#failed.add(id)
      this.#retry()
    }
  }

  #retry(): void {
    if (this.#timers.has('retry')) return
    const pauseMs = this.#pauseMs
    this.#pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    this.#later('retry', pauseMs, (own) => {
      const failed = [...own.#failed]
      own.#failed.clear()
      own.#look(failed)
    })
  }

  /** One timer of a kind; it keeps neither the process alive nor this. */
  #later(what: 'look' | 'everything' | 'retry', ms: number, work: (own: StoreWatch) => void): void {
    if (this.#closed || this.#timers.has(what)) return
    const self = this.#self
    const stop = background(this.#house.clock, ms, () => {
      const own = self.deref()
      if (!own) return
      own.#timers.delete(what)
      work(own)
    })
    this.#timers.set(what, stop)
  }
}

/** Those that were not closed stop the store from telling nobody. */
const abandoned = new FinalizationRegistry<() => void>((stop) => stop())

/** Stops once, whatever the store makes of it. */
function stopping(stop: () => unknown): () => void {
  return () => {
    try {
      disregard(stop())
    } catch {
      // It tells nobody then; there is nothing to be done.
    }
  }
}
