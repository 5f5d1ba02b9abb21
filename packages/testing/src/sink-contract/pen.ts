/** Writes entries as the trail does, for cases that hand lines to a sink themselves. */
import { createHash } from 'node:crypto'
import type { EntryType } from '@haldir/core'

/** Stands in every entry of a pen; no error may repeat it. */
export const CANARY = 'entry-canary-77d1'

/** One writer's chain. */
export class Pen {
  readonly writer: string
  #seq = 0
  #prev = '0'.repeat(64)

  constructor(writer: string) {
    this.writer = writer
  }

  /** The next line, newline included; `text` stands in it. */
  line(text = '', type: EntryType = 'signal'): string {
    const { writer } = this
    const seq = this.#seq++
    const at = new Date(Date.UTC(2026, 0, 1) + seq).toISOString()
    const head = { v: 1, id: `${writer}:${seq}`, writer, seq, at, type, haldir: 'haldir' }
    const who = { tenant: 'acme', agent: 'contract', session: 's1', chain: [] }
    const rest = { held: [], spent: [], enforced: true, data: { canary: CANARY, text }, prev: this.#prev }
    const bare = JSON.stringify({ ...head, ...who, ...rest })
    this.#prev = createHash('sha256').update(bare).digest('hex')
    return `${bare.slice(0, -1)},"hash":"${this.#prev}"}\n`
  }

  lines(count: number, text = ''): string[] {
    return Array.from({ length: count }, (_, index) => this.line(text === '' ? `${index}` : text))
  }
}
