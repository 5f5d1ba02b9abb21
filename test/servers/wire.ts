/** A connection in between, which tests may cut, stall, or rob of its answers. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export class Wire {
  /** `pass`; `stall`: nothing comes back; `drop`: what was asked gets through, and the connection is cut at the answer. */
  mode: 'pass' | 'stall' | 'drop' | 'refuse' = 'pass'
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(target: number) {
    this.#server = createServer((near) => {
      if (this.mode === 'refuse') return void near.destroy()
      const far = connect(target, '127.0.0.1')
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.once('close', () => {
          this.#sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      near.on('data', (data) => far.write(data))
      far.on('data', (data) => {
        if (this.mode === 'pass') near.write(data)
        else if (this.mode === 'drop') near.destroy()
      })
    })
  }

  static async before(target: number): Promise<Wire> {
    const wire = new Wire(target)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    return wire
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }
}
