/** A wire to a server that is slow, cut, or dead to what comes back: what happens between a process and its store. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Wire {
  readonly port: number
  /** How long every piece of data is under way, in each direction. */
  delayMs: number
  /** `true`: what the server answers is swallowed. */
  deaf: boolean
  /** `true`: what is asked gets through, and the connection ends at the answer. */
  robs: boolean
  /** `true`: nobody gets a connection. */
  refuses: boolean
  /** Ends every connection. New ones are taken. */
  cut(): void
  close(): Promise<void>
}

export async function wireTo(port: number): Promise<Wire> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    if (wire.refuses) return void near.destroy()
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
    const pass = (from: Socket, to: Socket, heard: () => boolean) => {
      let last: Promise<unknown> = Promise.resolve()
      from.on('data', (data) => {
        if (!heard()) return
        const due = wire.delayMs === 0 ? undefined : new Promise((wake) => setTimeout(wake, wire.delayMs))
        // Nothing overtakes what is still under way.
        last = last.then(() => due).then(() => to.write(data))
      })
    }
    pass(near, far, () => true)
    pass(far, near, () => {
      if (wire.robs) near.destroy()
      return !wire.deaf && !wire.robs
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const wire: Wire = {
    port: (server.address() as { port: number }).port,
    delayMs: 0,
    deaf: false,
    robs: false,
    refuses: false,
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
