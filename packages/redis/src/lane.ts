/**
 * Admits of one tenant that are asked for in the same turn go as one script: it reads a session and a meter once for all of
 * them, and costs the server a third. Nobody waits for it: an admit that is alone is sent in the same turn, too.
 */
import { type Admission, type AdmitRequest, Unavailable } from '@haldir/core/store'
import { argsOf } from './charges.ts'
import type { Engine } from './engine.ts'

interface Waiting {
  readonly request: AdmitRequest
  /** Asks for it by its own script, which has the answers to everything. */
  alone(): Promise<Admission>
  resolve(admission: Admission | Promise<Admission>): void
  reject(error: unknown): void
}

/** No script carries more: the server does nothing else meanwhile. */
const MOST = 64

export class Lane {
  readonly #engine: Engine
  readonly #waiting = new Map<string, Waiting[]>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  admit(tenant: string, request: AdmitRequest, alone: () => Promise<Admission>): Promise<Admission> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(tenant)
      if (waiting) return void waiting.push({ request, alone, resolve, reject })
      this.#waiting.set(tenant, [{ request, alone, resolve, reject }])
      // When all that is ready to run has run, and before anything else can arrive.
      process.nextTick(() => this.#send(tenant))
    })
  }

  #send(tenant: string): void {
    const all = this.#waiting.get(tenant) ?? []
    this.#waiting.delete(tenant)
    for (let from = 0; from < all.length; from += MOST) void this.#carry(tenant, all.slice(from, from + MOST))
  }

  async #carry(tenant: string, all: readonly Waiting[]): Promise<void> {
    const admitted = all.length > 1 ? await this.#together(tenant, all).catch(asReason) : undefined
    for (const { alone, resolve, reject } of all) {
      if (admitted instanceof Error) reject(admitted)
      else resolve(admitted ?? alone())
    }
  }

  /** Undefined: each has to be asked for alone, and nothing has been written. */
  async #together(tenant: string, all: readonly Waiting[]): Promise<Admission | undefined> {
    // The same call twice, or an amount that can't be counted: that one's own answer is for that one alone.
    if (new Set(all.map(({ request }) => request.call)).size < all.length) return undefined
    const args = this.#args(all, this.#engine.moments.estimate())
    if (args === undefined) return undefined
    const { said, now } = await this.#engine.ask('admitMany', tenant, args)
    return said === 'ok' ? { ok: true, at: now } : undefined
  }

  #args(all: readonly Waiting[], now: number): readonly string[] | undefined {
    let from = 0
    let until = Number.MAX_SAFE_INTEGER
    const args: string[] = []
    try {
      for (const { request } of all) {
        const { call, session, charges, leaseMs } = request
        const [window = '', ...charged] = argsOf(charges, this.#engine.moments, now)
        if (window !== '') {
          const [begins, ends] = window.split(' ').map(Number) as [number, number]
          from = Math.max(from, begins)
          until = Math.min(until, ends)
        }
        args.push(`${leaseMs} ${charged.length}`, call, session, ...charged)
      }
    } catch {
      return undefined
    }
    return [from > 0 ? `${from} ${until}` : '', ...args]
  }
}

function asReason(error: unknown): Error {
  return error instanceof Error ? error : new Unavailable('Redis failed, or its connection did')
}
