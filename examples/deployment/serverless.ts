// #region readme
import { createHaldir, governed, type Sink } from '@haldir/core'

/** The platform keeps what is printed. It is accepted when it has been handed over, and not before. */
const log: Sink = {
  name: 'log',
  write: (lines) =>
    new Promise((accepted, refused) => {
      process.stdout.write(lines, (error) => (error ? refused(error) : accepted(true)))
    }),
}

// Once in an instance: what stands outside the handler is kept from one invocation to the next.
const haldir = createHaldir({ sinks: [log] })
const look = governed(async ({ order }: { order: string }) => `order ${order}`, { name: 'look', scope: 'orders:read' })

export async function handler(request: Request): Promise<Response> {
  const order = new URL(request.url).searchParams.get('order') ?? ''
  const session = await haldir.createSession({ agent: 'order-bot', scopes: ['orders:read'], ttl: '1m' })
  try {
    return new Response(await session.run(() => look({ order })))
  } finally {
    await session.revoke('the request is answered')
    await haldir.flush() // before the instance is frozen; or in what the platform calls `after` or `waitUntil`
  }
}
// #endregion readme

if (import.meta.main) console.log(await (await handler(new Request('https://shop.example/?order=7'))).text())
