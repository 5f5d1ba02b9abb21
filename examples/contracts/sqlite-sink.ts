import { DatabaseSync } from 'node:sqlite'
import type { Sink, StoredLine } from '@haldir/core'

/** A sink that keeps the trail in a table of SQLite. Several processes may write to one file. */
export function sqliteSink(path: string): Sink {
  let db: DatabaseSync | undefined
  let writer = ''
  const opened = () => {
    if (!db) throw new Error('the sink is not open')
    return db
  }
  return {
    name: 'sqlite',
    open(name) {
      writer = name
      if (db) return undefined
      // A short wait for other processes: while it lasts, this one stands still.
      const opening = new DatabaseSync(path, { timeout: 50 })
      try {
        opening.exec(`
          PRAGMA journal_mode = WAL;
          CREATE TABLE IF NOT EXISTS trail (n INTEGER PRIMARY KEY, writer TEXT NOT NULL, line TEXT NOT NULL) STRICT`)
      } catch (error) {
        opening.close()
        throw error
      }
      db = opening
      return undefined
    },
    // One statement, so all lines or none. What SQLite throws names no value.
    write(lines) {
      const list = JSON.stringify(lines.split('\n').slice(0, -1))
      opened().prepare('INSERT INTO trail (writer, line) SELECT ?, value FROM json_each(?)').run(writer, list)
    },
    async *read(): AsyncGenerator<StoredLine> {
      const rows = opened().prepare('SELECT n, writer, line FROM trail ORDER BY writer, n').all()
      for (const { n, writer, line } of rows) {
        yield { writer: String(writer), place: `trail:${n}`, line: String(line) }
      }
    },
    close() {
      db?.close()
      db = undefined
    },
  }
}
