/** Lines of a trail, for sinks that are written to without one. */
import { createHash } from 'node:crypto'

export const START: number = Date.UTC(2026, 0, 1)

/** One writer's chain. */
export class Lines {
  readonly writer: string
  #seq = 0
  #prev = '0'.repeat(64)

  constructor(writer = 'w1') {
    this.writer = writer
  }

  /** The next line, newline included. */
  next(over: Readonly<Record<string, unknown>> = {}): string {
    const seq = this.#seq++
    const at = new Date(START + seq).toISOString()
    const head = { v: 1, id: `${this.writer}:${seq}`, writer: this.writer, seq, at, type: 'intent', haldir: 'shop' }
    const who = { tenant: 'acme', agent: 'bot', session: 's1', chain: [], call: `c${seq}`, tool: 'charge' }
    const rest = { held: [], spent: [], enforced: true, data: {}, ...over }
    const bare = JSON.stringify({ ...head, ...who, ...rest, prev: this.#prev })
    this.#prev = createHash('sha256').update(bare).digest('hex')
    return `${bare.slice(0, -1)},"hash":"${this.#prev}"}\n`
  }

  take(count: number, over?: Readonly<Record<string, unknown>>): string[] {
    return Array.from({ length: count }, () => this.next(over))
  }
}

export const idOf = (line: string): string => (JSON.parse(line) as { id: string }).id
