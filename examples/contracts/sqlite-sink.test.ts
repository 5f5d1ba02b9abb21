import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Sink } from '@haldir/core'
import { sinkContract } from '@haldir/testing'
import { sqliteSink } from './sqlite-sink.ts'

sinkContract({
  name: 'sqlite',
  open() {
    const folder = mkdtempSync(join(tmpdir(), 'sink-'))
    const path = join(folder, 'trail.db')
    const sinks: Sink[] = []
    const reopen = () => {
      const sink = sqliteSink(path)
      sinks.push(sink)
      return sink
    }
    // A second connection looks at what is really there, and holds up writers to break the sink.
    const beside = new DatabaseSync(path)
    return {
      sink: reopen(),
      reopen,
      stored() {
        const { found } = beside.prepare(`SELECT count(*) AS found FROM sqlite_schema WHERE name = 'trail'`).get() ?? {}
        const rows = found ? beside.prepare('SELECT line FROM trail ORDER BY n').all() : []
        return rows.map(({ line }) => `${line}\n`).join('')
      },
      break: () => beside.exec('BEGIN EXCLUSIVE'),
      mend: () => beside.exec('COMMIT'),
      async close() {
        for (const sink of sinks) await sink.close?.()
        beside.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
})
