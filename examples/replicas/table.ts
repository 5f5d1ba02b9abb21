/** A table that is drawn over itself on a terminal, and drawn once, at the end, anywhere else. */
import { stdout } from 'node:process'
import { clearScreenDown, moveCursor } from 'node:readline'

export interface Row {
  readonly name: string
  bought: number
  refused: number
  over: boolean
}

const WIDTH = 30

export class Table {
  readonly #rows: readonly Row[]
  readonly #budget: number
  #drawn = 0

  constructor(rows: readonly Row[], budget: number) {
    this.#rows = rows
    this.#budget = budget
  }

  /** Draws how it stands now; on a terminal in place of what was drawn before. */
  draw(): void {
    if (!stdout.isTTY) return
    const lines = this.#lines()
    if (this.#drawn > 0) {
      moveCursor(stdout, 0, -this.#drawn)
      clearScreenDown(stdout)
    }
    stdout.write(`${lines.join('\n')}\n`)
    this.#drawn = lines.length
  }

  get bought(): number {
    return this.#rows.reduce((sum, { bought }) => sum + bought, 0)
  }

  #lines(): string[] {
    const share = Math.round((this.bought / this.#budget) * WIDTH)
    const rows = this.#rows.map(({ name, bought, refused, over }) => {
      const counts = `${String(bought).padStart(5)} bought ${String(refused).padStart(5)} refused`
      return `${name.padEnd(10)}${counts}${over ? '  done' : ''}`
    })
    return [...rows, `${'█'.repeat(share)}${'░'.repeat(WIDTH - share)} ${this.bought} of ${this.#budget} USD`]
  }
}
