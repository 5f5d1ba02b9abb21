import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Stands for a service on the network: a server on this machine that wants a key, and repeats it in its answer. */
export async function startApi(): Promise<{ host: string; url: string; stop: () => void }> {
  const server = createServer(({ headers }, response) => {
    response.writeHead(headers.authorization ? 200 : 401, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ order: 7, you: headers.authorization }))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { host, url: `http://${host}`, stop }
}
