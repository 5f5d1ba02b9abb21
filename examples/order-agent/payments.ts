/** A payment service: a real HTTP server on loopback that takes no charge without its API key. Knows nothing of Haldir. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Charge {
  readonly id: string
  readonly order: number
  readonly total: string
}

export interface Payments {
  readonly url: string
  /** What was really charged, in the service's own books. */
  readonly ledger: readonly Charge[]
  close(): Promise<void>
}

export async function startPayments(key: string): Promise<Payments> {
  const ledger: Charge[] = []
  let last: unknown = {}

  const server = createServer(async (request, response) => {
    const { method, url, headers } = request
    // A page for debugging that nobody remembered to take away: it shows whoever asks the headers of the last charge.
    if (method === 'GET' && url === '/last-request') return answer(response, 200, last)
    if (method !== 'POST' || url !== '/charges') return answer(response, 404, { error: 'not found' })
    if (headers.authorization !== `Bearer ${key}`) return answer(response, 401, { error: 'no valid API key' })

    const { order, amount } = JSON.parse(await bodyOf(request)) as { order: number; amount: string }
    const charge = { id: `ch_${ledger.length + 1}`, order, total: amount }
    ledger.push(charge)
    last = { request: `${method} ${url}`, authorization: headers.authorization }
    answer(response, 201, { id: charge.id, total: charge.total })
  })

  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ledger,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
