/** Keeps an index up to date, and says after each time how many entries that were. */
import { openTrailIndex } from '@haldir/core/trail-index'
import { input, say } from './speak.ts'

const { audit, database, times } = input<{ audit: string; database: string; times: number }>()

const index = openTrailIndex({ directory: audit, database })
say('ready')
for (let n = 0; n < times; n++) {
  const { added } = await index.refresh()
  if (added > 0) say(`added ${added}`)
  await new Promise((wake) => setTimeout(wake, 2))
}
index.close()
say('done')
process.exit(0)
