/** Transactions of the SQLite store: one for each verb, tried again while another process has the database. */
import { type Clock, type MaybePromise, steadyTime } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { isBusy } from './sqlite-file.ts'
import type { Statements } from './sqlite-open.ts'

export interface Transactions {
  /**
   * Runs one transaction, with the store's now. What `keep` refuses is undone: nothing of it is left. It keeps
   * everything unless given.
   */
  atomically<T>(work: (at: number) => T, keep?: (result: T) => boolean): MaybePromise<T>
  /** As `atomically`, where it may be of interest to those who watch: they are told at once. */
  changing<T>(work: (at: number) => T, keep?: (result: T) => boolean): MaybePromise<T>
  /** Runs one statement that reads. Answers at once unless the database is busy; then it is asked again, later. */
  patiently<T>(work: () => T): MaybePromise<T>
}

/** How much of the time that passed may be lost when a process dies. */
const SAVE_EVERY_MS = 1_000

export function transactions(
  sql: Statements,
  clock: Clock,
  time: number,
  random: () => number,
  patienceMs: number,
  changed: () => void,
): Transactions {
  const now = steadyTime(clock, time)
  let saved = time

  function transact<T>(work: (at: number) => T, keep: (result: T) => boolean): T {
    sql.begin.run()
    try {
      const at = now()
      const result = work(at)
      const kept = keep(result)
      const due = at - saved >= SAVE_EVERY_MS
      if (!kept) sql.rollback.run()
      // Time is written also when nothing else is: a store that only refuses must not lose it.
      if (due) sql.writeTime.run(at)
      if (kept) sql.commit.run()
      if (due) saved = at
      return result
    } catch (error) {
      undo()
      throw error
    }
  }

  function undo(): void {
    try {
      sql.rollback.run()
    } catch {
      // There is none to undo, or SQLite has done it by itself, as it does when the disk is full.
    }
  }

  function patiently<T>(work: () => T): MaybePromise<T> {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      return retry(work, clock.monotonic() + patienceMs, 2)
    }
  }

  async function retry<T>(work: () => T, deadline: number, delay: number): Promise<T> {
    await new Promise<void>((wake) => void clock.setTimeout(wake, delay * (0.5 + random())))
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (clock.monotonic() > deadline) throw new Unavailable('the SQLite store stayed busy')
      return retry(work, deadline, Math.min(delay * 2, 100))
    }
  }

  return {
    atomically: (work, keep = always) => patiently(() => transact(work, keep)),
    changing: (work, keep = always) =>
      patiently(() => {
        const result = transact(work, keep)
        changed()
        return result
      }),
    patiently,
  }
}

const always = (): boolean => true
