/** A collector on this machine: checks who signed, keeps each request once, and writes a file for each writer. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { appendFileSync, mkdirSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** Answers how to stop it, and where it is. */
export async function collect(
  folder: string,
  secret: string,
  port = 0,
): Promise<{ host: string; port: number; stop(): Promise<void> }> {
  mkdirSync(folder, { recursive: true })
  const seen = new Set<string>()
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const sent = Buffer.concat(chunks)
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
    const id = String(request.headers['webhook-id'])
    if (!isSigned(request.headers, body, secret)) response.statusCode = 401
    // Whoever has this request already takes it for taken: then every entry is there once.
    else if (!seen.has(id)) {
      seen.add(id)
      for (const line of body.toString().split('\n').filter(Boolean)) {
        appendFileSync(`${folder}/audit-${JSON.parse(line).writer}-1.jsonl`, `${line}\n`)
      }
    }
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const at = (server.address() as AddressInfo).port
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { host: `127.0.0.1:${at}`, port: at, stop }
}

/** Standard Webhooks: HMAC-SHA256 over id, time and the body as it is when it has been decoded. */
function isSigned(headers: IncomingHttpHeaders, body: Buffer, secret: string): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures } = headers
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const right = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest()
  const fresh = Math.abs(Date.now() / 1_000 - Number(time)) < 300
  return String(signatures)
    .split(' ')
    .some((one) => {
      const given = Buffer.from(one.replace(/^v1,/, ''), 'base64')
      return fresh && given.length === right.length && timingSafeEqual(given, right)
    })
}
