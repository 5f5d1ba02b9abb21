/** A collector on loopback: takes requests as a real one does, and fails in the ways it is told to. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Decoded. */
  readonly body: string
  /** As many bytes as came over the wire. */
  readonly wire: number
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** `hang`: never answers. `reset`: the connection breaks before an answer. `half`: after the beginning of one. `lost`: it takes the request, and its answer gets lost. */
export type Fault = Reply | 'hang' | 'reset' | 'half' | 'lost'

export type Handler = (received: Received) => Reply

export class Collector {
  readonly received: Received[] = []
  readonly #server: Server
  #faults: Fault[] = []
  #handler: Handler
  /** While it is set, every request meets it. */
  outage: Fault | undefined

  constructor(handler: Handler) {
    this.#handler = handler
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
    return this
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path = '/in'): string {
    return `http://${this.host}${path}`
  }

  /** The next requests meet these, one each. */
  fail(...faults: Fault[]): void {
    this.#faults.push(...faults)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const raw = Buffer.concat(chunks)
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    const received = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers as Record<string, string>,
      body: body.toString(),
      wire: raw.length,
    }
    this.received.push(received)
    const fault = this.outage ?? this.#faults.shift()
    if (fault === 'hang') return
    if (fault === 'reset') return void request.socket.destroy()
    if (fault === 'half') {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"te', () => request.socket.destroy())
      return
    }
    if (fault === 'lost') {
      this.#handler(received)
      return void request.socket.destroy()
    }
    const { status, headers = {}, body: answer = '' } = fault ?? this.#handler(received)
    response.writeHead(status, { connection: 'keep-alive', ...headers })
    response.end(answer)
  }
}

/** Keeps lines, or whatever `read` makes of a body, once for each id. */
export class Kept {
  /** Every line that came, as often as it came. */
  readonly all: string[] = []
  readonly byId = new Map<string, string>()
  /** Ids of requests, as the receiver is to tell them apart. */
  readonly requests = new Set<string>()
  /** Entries that came again in a request that was not the same. */
  readonly doubled: string[] = []

  add({ headers, body }: Received): Reply {
    const request = headers['webhook-id'] ?? ''
    if (this.requests.has(request)) return { status: 200 }
    this.requests.add(request)
    for (const line of body.split('\n')) {
      if (line === '') continue
      this.all.push(line)
      const { id } = JSON.parse(line) as { id: string }
      if (this.byId.has(id)) this.doubled.push(id)
      this.byId.set(id, line)
    }
    return { status: 200 }
  }
}
