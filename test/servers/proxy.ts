/** A wire to a server that is slow, cut, or dead to what comes back: what happens between a process and its store. */
import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'

export interface Wire {
  readonly port: number
  /** How long every piece of data is under way, in each direction. */
  delayMs: number
  /** `true`: what the server answers is swallowed. */
  deaf: boolean
  /** Ends every connection. New ones are taken. */
  cut(): void
  close(): Promise<void>
}

export async function wireTo(port: number): Promise<Wire> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    // Timers of one length fire in the order they were made, so nothing overtakes.
    const pass = (data: Buffer, to: Socket) => {
      if (wire.delayMs === 0) to.write(data)
      else setTimeout(() => to.write(data), wire.delayMs)
    }
    near.on('data', (data) => pass(data, far))
    far.on('data', (data) => {
      if (!wire.deaf) pass(data, near)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const wire: Wire = {
    port: (server.address() as { port: number }).port,
    delayMs: 0,
    deaf: false,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      server.close()
      wire.cut()
      await once(server, 'close')
    },
  }
  return wire
}
