/** What is known of chains from elsewhere: from the store, trusted checkpoints, and what other chains say of them. */
import type { WriterRow } from '../../stores/store.ts'
import type { Mark } from './chain-check.ts'
import { type Stand, standOf, type Told } from './told.ts'

export class Known {
  readonly #marks = new Map<string, Mark[]>()
  /** Of each writer, where the chain stood that was let go of: hash of the last entry by how many there were. */
  readonly #gone = new Map<string, Map<number, string>>()
  /** What is said of chains that were let go of, and in which entry. */
  readonly #told: { readonly stand: Stand; readonly by: string; readonly seq: number }[] = []
  /** Where writers stood that others came after. */
  readonly after: Stand[] = []

  constructor(rows: readonly WriterRow[]) {
    for (const { id, entries, head } of rows) this.add({ writer: id, entries, head }, 'the store')
  }

  add({ writer, entries, head }: Stand, by: Mark['by']): void {
    const marks = this.#marks.get(writer) ?? []
    // Of a chain without entries there is nothing to compare.
    if (entries > 0) marks.push({ entries, head, by })
    this.#marks.set(writer, marks)
  }

  /** Writers whose chains must be there. */
  get writers(): Iterable<string> {
    return this.#marks.keys()
  }

  /** In ascending order. */
  marksOf(writer: string): Mark[] {
    return [...(this.#marks.get(writer) ?? [])].sort((a, b) => a.entries - b.entries)
  }

  /** The entry `seq` of the writer `by` says something of another chain, or of the beginning of its own. */
  tell({ type, data }: Told, by: string, seq: number): void {
    const after = seq === 0 && type === 'writer-opened' ? standOf(data?.after) : undefined
    if (after) this.after.push(after)
    const gone = type === 'retention' ? standOf(data) : undefined
    if (gone) this.#told.push({ stand: gone, by, seq })
  }

  /** Every chain was seen: of what is said, that counts which is vouched for. */
  settle(vouched: (writer: string, seq: number) => boolean): void {
    for (const { stand, by, seq } of this.#told) {
      if (!vouched(by, seq)) continue
      const gone = this.#gone.get(stand.writer) ?? new Map<number, string>()
      gone.set(stand.entries, stand.head)
      this.#gone.set(stand.writer, gone)
    }
  }

  /** Whether the first `entries` of a chain were let go of on purpose, and ended with `head`. */
  isGone(writer: string, entries: number, head: string): boolean {
    return this.#gone.get(writer)?.get(entries) === head
  }

  /** Whether all that anybody knows of a chain was let go of on purpose. */
  isWhollyGone(writer: string): boolean {
    const gone = Math.max(-1, ...(this.#gone.get(writer)?.keys() ?? []))
    return (
      (this.#marks.get(writer) ?? []).every(({ entries, head }) =>
        entries === gone ? this.isGone(writer, entries, head) : entries < gone,
      ) && gone >= 0
    )
  }
}
