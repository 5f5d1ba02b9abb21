/**
 * Telling of what other processes change in a SQLite file. Nothing in SQLite calls anybody, so the file is looked at, as
 * long as somebody watches: one read without a lock that others would feel, and a second one when it has changed.
 */
import { background, type Clock } from '../clock.ts'
import type { Statements } from './sqlite-open.ts'
import { Watchers } from './watchers.ts'

/** How often it is looked at. */
const LOOK_MS = 25

interface Change {
  readonly seq: number
  readonly about: 'sessions' | 'approvals'
  readonly id: string
}

export class SqliteWatching {
  readonly #sql: Statements
  readonly #clock: Clock
  readonly #watchers = new Watchers()
  /** The latest change that was told; nothing while that is not known. */
  #told: number | undefined
  /** As of which commit of others nothing is left to tell. */
  #version: number | undefined
  #stop: (() => void) | undefined
  #telling = false
  #closed = false

  constructor(sql: Statements, clock: Clock) {
    this.#sql = sql
    this.#clock = clock
  }

  watch(listener: Parameters<Watchers['add']>[0]): () => void {
    if (this.#closed) return () => {}
    const first = !this.#watchers.any
    const leave = this.#watchers.add(listener)
    if (first) this.#begin()
    return () => {
      leave()
      if (!this.#watchers.any) this.#rest()
    }
  }

  /** This process has changed something: its watchers do not have to wait for the next look. */
  changed(): void {
    if (this.#telling || !this.#watchers.any) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      this.#tell()
    })
  }

  close(): void {
    this.#closed = true
    this.#watchers.clear()
    this.#rest()
  }

  #begin(): void {
    try {
      // In this order: what is committed in between is looked for once more, not missed.
      this.#version = this.#dataVersion()
      this.#told = this.#newest()
    } catch {
      // Busy, or broken: by the next look something may have changed, and nobody knows what.
      this.#version = undefined
    }
    this.#wait()
  }

  #rest(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#told = undefined
    this.#version = undefined
  }

  #wait(): void {
    this.#stop = background(this.#clock, LOOK_MS, () => {
      this.#look()
      this.#wait()
    })
  }

  #look(): void {
    try {
      const version = this.#dataVersion()
      if (version !== this.#version && this.#tell()) this.#version = version
    } catch {
      // The next look finds what this one would have.
    }
  }

  /** Tells what has changed since, by whomever. Answers whether it could be read. */
  #tell(): boolean {
    if (!this.#watchers.any) return true
    try {
      const told = this.#told
      const changes = told === undefined ? [] : (this.#sql.changesSince.all(told) as unknown as Change[])
      // Invariant: a change is told, or that anything may have changed: rows that were forgotten meanwhile leave a gap.
      if (told === undefined || (changes[0] && changes[0].seq > told + 1)) {
        this.#told = this.#newest()
        this.#watchers.tell({ about: 'everything' })
        return true
      }
      for (const about of ['sessions', 'approvals'] as const) {
        const ids = changes.filter((change) => change.about === about).map(({ id }) => id)
        this.#watchers.about(about, [...new Set(ids)])
      }
      this.#told = changes.at(-1)?.seq ?? told
      return true
    } catch {
      this.#version = undefined
      return false
    }
  }

  #dataVersion(): number {
    return Number(this.#sql.dataVersion.get()?.data_version)
  }

  #newest(): number {
    return Number(this.#sql.lastChange.get()?.seq ?? 0)
  }
}
