import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { storeContract } from '@haldir/testing'
import { proves } from '../promises.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-10', 'per-session-budget', 'session-ttl')

storeContract({
  name: 'memory',
  open: ({ clock }) => ({ store: memoryStore({ clock }), close() {} }),
})

storeContract({
  name: 'sqlite',
  open({ clock }) {
    const directory = mkdtempSync(join(tmpdir(), 'haldir-store-'))
    const path = join(directory, 'haldir.db')
    const opened: Store[] = []
    const open = (options: { clock: typeof clock }) => {
      const store = sqliteStore(path, options)
      opened.push(store)
      return store
    }
    return {
      store: open({ clock }),
      reopen: open,
      async close() {
        for (const store of opened) await store.close?.()
        rmSync(directory, { recursive: true })
      },
    }
  },
})
