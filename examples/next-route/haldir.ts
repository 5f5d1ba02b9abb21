/** One haldir for the process. In development Next.js loads modules anew after every change; what stands on `globalThis` stays. */
import { createHaldir, type Haldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'

const kept = globalThis as { shopHaldir?: Haldir }

kept.shopHaldir ??= createHaldir({
  name: 'shop',
  store: sqliteStore(process.env.HALDIR_DB ?? 'haldir.db'),
  sinks: [fileSink(process.env.HALDIR_AUDIT ?? 'audit')],
  // Beside what one request may spend: what all requests of a customer may, in a day.
  meters: [{ unit: 'USD', per: 'tenant', limit: 100, window: 'day' }],
})

export const haldir: Haldir = kept.shopHaldir
