/** The API of a fake Slack over HTTP, on this machine alone. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FakeApi } from './api.ts'

export async function listening(api: FakeApi): Promise<Server> {
  const server = createServer((request, response) => serve(api, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return server
}

export function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`
}

export async function closeServer(server: Server): Promise<void> {
  // Whoever still waits for an answer would keep it open.
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

function serve(api: FakeApi, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Uint8Array[] = []
  request.on('data', (chunk: Uint8Array) => chunks.push(chunk))
  request.on('end', () => {
    const { authorization = null, 'content-type': type = null } = request.headers
    const method = (request.url ?? '').split('?')[0]?.split('/').at(-1) ?? ''
    const answer = api.answer({ method, authorization, type, body: Buffer.concat(chunks).toString('utf8') })
    if (answer === 'down') request.socket.destroy()
    else if (answer !== 'hangs') response.writeHead(answer.status, answer.headers).end(answer.body)
  })
}
