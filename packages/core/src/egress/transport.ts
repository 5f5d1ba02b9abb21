/**
 * How a governed `fetch` reaches the network. Names are resolved here and connected to as they were resolved, so what
 * was checked is what is spoken to, whatever a name server says a moment later.
 */
import type { LookupAddress } from 'node:dns'
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { ask, type Clock, type MaybePromise } from '../clock.ts'
import { namesHost } from '../hosts.ts'
import { isPublicAddress } from './address.ts'

/** What a request is made with. Redirects are never followed. */
export interface SentRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly redirect: 'manual'
  readonly signal: AbortSignal
}

/** A `fetch`, as far as it is used here: Node's own fits. */
export type FetchFunction = (url: string, init: SentRequest) => Promise<Response>

/** The addresses of a name. */
export type LookupNames = (hostname: string) => MaybePromise<readonly string[]>

export interface TransportOptions {
  /** Sends requests instead of Haldir's own client. It has to see to it by itself that it connects to what was checked. */
  readonly fetch?: FetchFunction | undefined
  readonly lookup?: LookupNames | undefined
  /** Places that are private, and meant. */
  readonly privateHosts: readonly string[]
}

export interface TransportParts extends TransportOptions {
  readonly clock: Clock
  readonly deadlineMs: number
}

type Lookup = (hostname: string) => Promise<readonly string[]>

/** A name leads to an address that is not public. */
export class PrivateAddress extends Error {
  constructor() {
    super('the name leads to a private address')
  }
}

export class Transport {
  readonly #parts: TransportParts
  readonly #lookup: Lookup
  #client: Promise<Client> | undefined

  constructor(parts: TransportParts) {
    const { lookup = resolve, clock, deadlineMs } = parts
    this.#parts = parts
    this.#lookup = (hostname) => ask(() => lookup(hostname), deadlineMs, clock, 'egress.lookup')
  }

  /** Whether a URL leads to a private place that is meant. */
  permits(url: URL): boolean {
    return namesHost(this.#parts.privateHosts, url)
  }

  /** Throws `PrivateAddress` when the host resolves to one, unless `anywhere`; nothing has been sent then. */
  async send(url: URL, init: SentRequest, anywhere: boolean): Promise<Response> {
    const { fetch: own, lookup } = this.#parts
    if (own) {
      // How such a client resolves names is its own affair; what can be asked beforehand is.
      if (lookup && !anywhere && isIP(bare(url)) === 0) await publicAddresses(bare(url), this.#lookup)
      return own(url.href, init)
    }
    this.#client ??= makeClient(this.#lookup)
    try {
      const client = await this.#client
      return await client.send(url, init, anywhere)
    } catch (error) {
      throw causeOf(error) ?? error
    }
  }

  /** Lets go of idle connections; requests under way go on. */
  close(): void {
    this.#client?.then((client) => client.close()).catch(() => {})
  }
}

interface Client {
  send(url: URL, init: SentRequest, anywhere: boolean): Promise<Response>
  close(): Promise<unknown>
}

/** Loaded at the first request: most applications never make one. */
async function makeClient(lookup: Lookup): Promise<Client> {
  const { Agent, fetch: request } = await import('undici')
  // A connection that was allowed to lead anywhere is never used again for one that was not.
  const guarded = new Agent({ connect: { lookup: guardedLookup(lookup) } })
  const open = new Agent({ connect: { lookup: guardedLookup(lookup, true) } })
  return {
    async send(url, init, anywhere) {
      const answer = await request(url, { ...init, dispatcher: anywhere ? open : guarded })
      return answer as unknown as Response
    },
    close: () => Promise.all([guarded.close(), open.close()]),
  }
}

/** What `net.connect` resolves names by. */
function guardedLookup(lookup: Lookup, anywhere = false): LookupFunction {
  return (hostname, { all, family }, callback) => {
    publicAddresses(hostname, lookup, anywhere).then(
      (found) => {
        const wanted = family === 4 || family === 6 ? found.filter((one) => one.family === family) : found
        const [first] = wanted
        if (!first) callback(new Error('the name has no address'), '', 0)
        else if (all) callback(null, [...wanted])
        else callback(null, first.address, first.family)
      },
      (error) => callback(error, '', 0),
    )
  }
}

/** Every address counts: one private one among public ones may be the one that is connected to. */
async function publicAddresses(hostname: string, lookup: Lookup, anywhere = false): Promise<LookupAddress[]> {
  const addresses = await lookup(hostname)
  const sound = Array.isArray(addresses) && addresses.length > 0 && addresses.every((one) => isIP(one) !== 0)
  if (!sound) throw new Error('the name could not be resolved')
  if (!anywhere && !addresses.every(isPublicAddress)) throw new PrivateAddress()
  return addresses.map((address) => ({ address, family: isIP(address) }))
}

async function resolve(hostname: string): Promise<string[]> {
  const found = await systemLookup(hostname, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

function bare(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** The client wraps what went wrong while it connected. */
function causeOf(error: unknown): PrivateAddress | undefined {
  let at = error
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if (at instanceof PrivateAddress) return at
    at = at.cause
  }
  return undefined
}
