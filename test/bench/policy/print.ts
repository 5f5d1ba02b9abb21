/** The table of the policy bench, at most 100 columns. */
import { styleText } from 'node:util'
import { number } from '../table.ts'

const COLUMNS = [41, 10, 13, 10, 10, 12] as const
const paint = (style: Parameters<typeof styleText>[0], text: string) =>
  styleText(style, text, { stream: process.stdout })

export function columnNames(): void {
  console.log(paint('dim', cells(['', 'ns/decision', '', '× Haldir', '', '× lookup +'])))
  console.log(paint('dim', cells(['', '10 rules', '1,000 rules', 'at 10', 'at 1,000', 'compare'])))
}

/** Figures in the order of the columns; those that do not apply are absent. */
export function row(name: string, figures: readonly (number | undefined)[]): void {
  console.log(cells([name, ...figures.map((figure) => (figure === undefined ? '' : number(figure)))]))
}

/** One that is not measured, and why. */
export function absent(name: string, why: string): void {
  console.log(`${name.padEnd(COLUMNS[0])}${paint('yellow', why)}`)
}

/** A claim and whether it holds. */
export function bar(claim: string, found: string, met: boolean): void {
  const mark = met ? paint('green', 'met') : paint('red', 'missed')
  console.log(`${claim.padEnd(62)}${found.padStart(26)}  ${mark}`)
}

function cells(texts: readonly string[]): string {
  return COLUMNS.map((width, index) =>
    index === 0 ? (texts[0] ?? '').padEnd(width) : (texts[index] ?? '').padStart(width),
  )
    .join('')
    .trimEnd()
}
