/** A queue in a SQLite file. A job is taken by one worker; with it travels the token of a session made for it alone. */
import { DatabaseSync } from 'node:sqlite'

export interface Job {
  readonly id: number
  readonly order: string
  /** A bearer secret: whoever can read the queue can act as this session until it ends. */
  readonly token: string
}

export type State = 'waiting' | 'running' | 'done' | 'refused' | 'failed'

export class Queue {
  readonly #db: DatabaseSync

  constructor(path: string) {
    this.#db = new DatabaseSync(path)
    this.#db.exec(`PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, "order" TEXT, token TEXT, state TEXT)`)
  }

  put(order: string, token: string): void {
    this.#db.prepare(`INSERT INTO jobs ("order", token, state) VALUES (?, ?, 'waiting')`).run(order, token)
  }

  /** The next job, for the caller alone. */
  take(): Job | undefined {
    const next = `SELECT id FROM jobs WHERE state = 'waiting' ORDER BY id LIMIT 1`
    const take = `UPDATE jobs SET state = 'running' WHERE id = (${next}) RETURNING id, "order", token`
    return this.#db.prepare(take).get() as Job | undefined
  }

  /** The token is of no use any more and is not kept. */
  end(job: Job, state: State): void {
    this.#db.prepare('UPDATE jobs SET state = ?, token = NULL WHERE id = ?').run(state, job.id)
  }

  count(state: State): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM jobs WHERE state = ?').get(state)?.n)
  }

  close(): void {
    this.#db.close()
  }
}
