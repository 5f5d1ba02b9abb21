/** Hints of what has changed, by LISTEN on a connection of its own. */
import type { Clock } from '@haldir/core'
import { background, type Hint, Watchers } from '@haldir/core/store'
import { type Connection, connection, type PostgresClient } from './client.ts'

/** How long it waits before it connects again, and how often it asks whether the connection is still there. */
const AGAIN_MS = 500
const ASK_MS = 20_000
const PATIENCE_MS = 5_000

export class Watch {
  readonly #client: PostgresClient
  readonly #channel: string
  readonly #clock: Clock
  readonly #watchers = new Watchers()
  #stop: (() => void) | undefined

  constructor(client: PostgresClient, schema: string, clock: Clock) {
    this.#client = client
    this.#channel = `${schema}_hints`
    this.#clock = clock
  }

  add(listener: (hint: Hint) => void): () => void {
    const leave = this.#watchers.add(listener)
    this.#stop ??= this.#client.listen ? this.#subscribe() : this.#listen()
    return () => {
      leave()
      if (!this.#watchers.any) this.close()
    }
  }

  close(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#watchers.clear()
  }

  #hear(payload: string | undefined): void {
    try {
      this.#watchers.tell(JSON.parse(payload ?? '') as Hint)
    } catch {
      this.#watchers.tell({ about: 'everything' })
    }
  }

  /** PGlite has one connection, which is not lost. */
  #subscribe(): () => void {
    let over = false
    const leaving = this.#client.listen?.(this.#channel, (payload) => {
      if (!over) this.#hear(payload)
    })
    return () => {
      over = true
      leaving?.then(
        (leave) => void leave().then(undefined, () => {}),
        () => {},
      )
    }
  }

  #listen(): () => void {
    let over = false
    let own: Connection | undefined
    let wait: () => void = () => {}

    const lose = (lost: Connection | undefined): void => {
      if (lost !== own || over) return
      own = undefined
      wait()
      drop(lost)
      wait = background(this.#clock, AGAIN_MS, () => void connect())
    }
    const connect = async (): Promise<void> => {
      let got: Connection | undefined
      try {
        got = await connection(this.#client)
        // A client without connections of their own: there are no hints, which may be lost anyway.
        if (!got || over) return drop(got)
        own = got
        const mine = got
        for (const event of ['error', 'end']) got.on(event, () => lose(mine))
        got.on('notification', ({ payload }) => this.#hear(payload))
        got.unref?.()
        await got.query(`LISTEN "${this.#channel}"`)
        // What was told before this connection listened is lost.
        if (own === mine) this.#watchers.tell({ about: 'everything' })
        ask(mine)
      } catch {
        if (own === got) lose(got)
      }
    }
    /** A connection that was cut without a word shows only when it is used. */
    const ask = (mine: Connection): void => {
      if (own !== mine || over) return
      wait = background(this.#clock, ASK_MS, () => {
        wait = background(this.#clock, PATIENCE_MS, () => lose(mine))
        mine.query('SELECT 1').then(
          () => {
            wait()
            ask(mine)
          },
          () => lose(mine),
        )
      })
    }
    void connect()
    return () => {
      over = true
      wait()
      drop(own)
    }
  }
}

/** It has listened: nobody else may get it. */
function drop(connection: Connection | undefined): void {
  try {
    connection?.removeAllListeners?.('notification')
    connection?.release(true)
  } catch {
    // It was given back already.
  }
}
