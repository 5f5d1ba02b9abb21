/**
 * What stands between many clients and few connections, as PgBouncer does with `pool_mode = transaction` before 1.21: each
 * transaction goes to whichever connection is free, here always to another one, and prepared statements are nobody's.
 * Messages are those of protocol 3.0 (PostgreSQL documentation, chapter 54); a server that lets everybody in is needed.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Pooler {
  readonly url: string
  /** The SQLSTATEs of what the server has refused. */
  readonly errors: string[]
  stop(): Promise<void>
}

interface Backend {
  readonly socket: Socket
  /** What the server said when the connection was made. */
  greeting: Buffer
  serving: Socket | undefined
}

export async function startPooler(server: string, size = 2): Promise<Pooler> {
  const { hostname, port } = new URL(server)
  const errors: string[] = []
  const backends: Backend[] = []
  const sockets = new Set<Socket>()
  const waiting: { client: Socket; message: Buffer }[] = []

  function give(): void {
    for (const work of waiting.splice(0)) {
      const own = backends.find(({ serving }) => serving === work.client)
      const free = own ?? backends.find(({ serving }) => serving === undefined)
      if (free) {
        free.serving = work.client
        free.socket.write(work.message)
        // The next one is another one.
        backends.push(...backends.splice(backends.indexOf(free), 1))
      } else waiting.push(work)
    }
  }

  async function open(startup: Buffer): Promise<void> {
    const socket = connect(Number(port), hostname)
    sockets.add(socket)
    const backend: Backend = { socket, greeting: Buffer.alloc(0), serving: socket }
    socket.write(startup)
    socket.on('error', () => {})
    await new Promise<void>((ready) => {
      eachMessage(socket, (type, message) => {
        const { serving } = backend
        if (type === 'E') errors.push(/\0C(\w{5})/.exec(`\0${message.toString('latin1', 5)}`)?.[1] ?? '')
        if (serving === socket) backend.greeting = Buffer.concat([backend.greeting, message])
        else serving?.write(message)
        // `I`: the transaction is over.
        if (type === 'Z' && message.toString('latin1', 5, 6) === 'I') {
          backend.serving = undefined
          ready()
          give()
        }
      })
    })
    backends.push(backend)
  }

  const listener = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {})
    let work: Buffer[] = []
    client.once('data', async (startup: Buffer) => {
      while (backends.length < size) await open(startup)
      client.write(backends[0]?.greeting as Buffer)
      eachMessage(client, (type, message) => {
        if (type === 'X') return
        work.push(message)
        if (type !== 'S' && type !== 'Q') return
        waiting.push({ client, message: Buffer.concat(work) })
        work = []
        give()
      })
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const url = new URL(server)
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.href,
    errors,
    async stop() {
      listener.close()
      for (const socket of sockets) socket.destroy()
      await once(listener, 'close')
    },
  }
}

/** Whole messages: a letter, their length without it, and the rest. */
function eachMessage(socket: Socket, told: (type: string, message: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const length = 1 + rest.readInt32BE(1)
      told(rest.toString('latin1', 0, 1), rest.subarray(0, length))
      rest = rest.subarray(length)
    }
  })
}
