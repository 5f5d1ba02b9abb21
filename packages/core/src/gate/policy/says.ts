/** Conditions in words, as problems and explanations show them. Only the policy's own text, never what a call brings. */
import type { Operand, Operator, Tree } from './tree.ts'

const SHORTEST = 3
const LONGEST = 80

/** One part of a condition, without what is below it: `args.amount gt 100`, `every item of args.to`. */
export function says(tree: Tree): string {
  switch (tree.kind) {
    case 'all':
      return 'all of'
    case 'any':
      return 'any of'
    case 'not':
      return 'not'
    case 'each':
      return `${tree.mode === 'every' ? 'every' : 'some'} item of ${printable(tree.path.text)}`
    case 'leaf':
      return `${tree.sized ? 'size of ' : ''}${printable(tree.path.text)} ${test(tree.op, tree.operand)}`
    case 'function':
      return 'a function'
  }
}

function test(op: Operator, operand: Operand): string {
  if (op === 'exists') return 'value' in operand && operand.value === false ? 'is absent' : 'exists'
  return `${op} ${'path' in operand ? printable(operand.path.text) : shortened(JSON.stringify(operand.value))}`
}

function shortened(text: string): string {
  const printed = printable(text)
  return printed.length <= LONGEST ? printed : `${printed.slice(0, LONGEST - SHORTEST)}...`
}

/** Text as one line of a terminal shows it: whoever wrote it can't move the cursor or turn the line round. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ')
}
