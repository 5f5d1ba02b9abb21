/** Scores by file from Stryker's report: with every mutant, and without those that only alter a text. */
import { readFileSync } from 'node:fs'

interface Mutant {
  readonly mutatorName: string
  readonly status:
    | 'Killed'
    | 'Timeout'
    | 'Survived'
    | 'NoCoverage'
    | 'CompileError'
    | 'RuntimeError'
    | 'Ignored'
    | 'Pending'
}

const KINDS = ['Killed', 'Timeout', 'Survived', 'NoCoverage', 'Ignored', 'RuntimeError'] as const

/** Found, of all that could be. */
function score(mutants: readonly Mutant[]): string {
  const of = (...statuses: Mutant['status'][]) => mutants.filter(({ status }) => statuses.includes(status)).length
  const found = of('Killed', 'Timeout')
  const all = found + of('Survived', 'NoCoverage')
  return all === 0 ? '-' : `${((100 * found) / all).toFixed(1)} %`
}

export function printScores(report: string): void {
  const { files } = JSON.parse(readFileSync(report, 'utf8')) as { files: Record<string, { mutants: Mutant[] }> }
  const rows = Object.entries(files).map(([name, { mutants }]) => ({
    name: name.replace('packages/core/src/', ''),
    mutants,
  }))
  rows.push({ name: 'all', mutants: rows.flatMap(({ mutants }) => mutants) })
  const table = rows.map(({ name, mutants }) => ({
    file: name,
    score: score(mutants),
    'without texts': score(mutants.filter(({ mutatorName }) => mutatorName !== 'StringLiteral')),
    ...Object.fromEntries(KINDS.map((kind) => [kind, mutants.filter(({ status }) => status === kind).length])),
  }))
  console.table(table)
}
