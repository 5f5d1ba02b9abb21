/** Charges $1 many times on a session it attaches to, over Redis, and says how that went. */
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import { input, say, told } from './speak.ts'

const { url, token, calls } = input<{ url: string; token: string; calls: number }>()

const client = new Redis(url)
const haldir = createHaldir({ store: redisStore(client), sinks: [memorySink()] })
const session = await haldir.attach(token)
let ran = 0
const charge = governed(
  async () => {
    ran++
  },
  { name: 'charge', scope: 'spend', cost: usd(1) },
  { haldir, session },
)

say('ready')
await told('go')

const refused: Record<string, number> = {}
let left = calls
async function lane(): Promise<void> {
  while (left-- > 0) {
    try {
      await charge()
      if (ran % 20 === 0) say('ran')
    } catch (error) {
      const code = Denied.isInstance(error) ? error.code : String(error)
      refused[code] = (refused[code] ?? 0) + 1
    }
  }
}
await Promise.all(Array.from({ length: 8 }, lane))
await haldir.close()
client.disconnect()
say(JSON.stringify({ ran, refused }))
process.exit(0)
