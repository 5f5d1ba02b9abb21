/** The shop's orders, in a real SQLite file. Knows nothing of agents. */
import { DatabaseSync } from 'node:sqlite'

export interface Order {
  readonly id: number
  readonly customer: string
  /** A decimal, such as `29.99`. */
  readonly total: string
}

export interface OrderWithNote extends Order {
  /** Free text from the customer. Nobody checked it. */
  readonly note: string
}

const LIST = `
  SELECT orders.id, customers.name AS customer, total
  FROM orders JOIN customers ON customers.id = orders.customer
  WHERE status = ? ORDER BY orders.id`
const READ = `
  SELECT orders.id, customers.name AS customer, total, note
  FROM orders JOIN customers ON customers.id = orders.customer
  WHERE orders.id = ?`

export class Orders {
  readonly #db: DatabaseSync

  constructor(file: string) {
    this.#db = new DatabaseSync(file)
  }

  list(status: string): Order[] {
    return plain(this.#db.prepare(LIST).all(status)) as Order[]
  }

  read(id: number): OrderWithNote | undefined {
    return plain(this.#db.prepare(READ).all(id))[0] as OrderWithNote | undefined
  }

  /** Really deletes: nothing but governance stands between an agent and this. */
  delete(id: number): boolean {
    return this.#db.prepare('DELETE FROM orders WHERE id = ?').run(id).changes === 1
  }

  close(): void {
    this.#db.close()
  }
}

/** SQLite's rows have no prototype; a model's tools answer with ordinary objects. */
function plain(rows: unknown[]): unknown[] {
  return rows.map((row) => ({ ...(row as object) }))
}
