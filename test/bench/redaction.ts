/**
 * What looking for secrets costs: in a text, in a tree of objects, in a stream of small yields; with 1, 10 and 361
 * secrets. Beside it the naive way, one `indexOf` for each form of each secret, which grows with their number. It ends
 * with 0 whatever the figures are. `--quick` takes a tenth of everything.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Redactor } from '../../packages/core/src/vault/redact.ts'
import { YieldRedactor } from '../../packages/core/src/vault/redact-yields.ts'
import { manySecrets, Seeded } from '../acceptance/many-secrets-kinds.ts'
import { heading, note, number, progressOf } from './table.ts'

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values
const LARGE = quick ? 1e6 : 10e6
const SMALL = LARGE / 10
/** The naive way takes minutes for more; what it does in a second is the same for any length. */
const NAIVE = LARGE / 50
const ROUNDS = 3
const YIELD = 10

const secrets = [...manySecrets()]
const random = new Seeded(10)
const WORDS = Array.from({ length: 4_000 }, () =>
  random.letters(2 + random.below(9), 'etaoinshrdlucmfwypvbgkqjxz0123456789'),
)

function textOf(length: number): string {
  const words: string[] = []
  for (let size = 0; size < length; ) size += words.push(random.pick(WORDS)) && (words.at(-1) as string).length + 1
  // In one piece, as a result comes from a parser.
  return Buffer.from(words.join(' ').slice(0, length)).toString('latin1')
}

interface Row {
  readonly id: string
  readonly count: number
  readonly note: string
  readonly tags: readonly string[]
}

/** About fifty letters an object, and two objects a row. */
function treeOf(length: number): Row[] {
  return Array.from({ length: Math.floor(length / 100) }, (_, count) => {
    return { id: `ord_${count}`, count, note: textOf(60), tags: [random.pick(WORDS), random.pick(WORDS)] }
  })
}

const piecesOf = (text: string) =>
  Array.from({ length: text.length / YIELD }, (_, at) => text.slice(at * YIELD, at * YIELD + YIELD))

function redactorOf(count: number): Redactor {
  const redactor = new Redactor()
  for (const [name, secret] of secrets.slice(0, count)) redactor.add(name, secret)
  return redactor
}

const subjects = [
  {
    name: 'text',
    ours: (redactor: Redactor, { text }: Load) => redactor.text(text) === text,
    naive: (needles: readonly string[], { text }: Load) => !needles.some((needle) => text.includes(needle)),
  },
  {
    name: 'tree of objects',
    ours: (redactor: Redactor, { tree }: Load) => redactor.value(tree).value === tree,
    naive: (needles: readonly string[], { tree }: Load) => tree.every((row) => naiveTree(needles, row)),
  },
  {
    name: `yields of ${YIELD} letters`,
    ours: (redactor: Redactor, { pieces }: Load) => {
      const yields = new YieldRedactor(redactor)
      let out = 0
      for (const piece of pieces) out += yields.push(piece).items.length
      return out + yields.end().length === pieces.length
    },
    naive: (needles: readonly string[], { pieces }: Load) => {
      let before = ''
      for (const piece of pieces) {
        const text = before + piece
        if (needles.some((needle) => text.includes(needle))) return false
        before = tailOf(text, needles)
      }
      return true
    },
  },
]

interface Load {
  readonly text: string
  readonly tree: Row[]
  readonly pieces: readonly string[]
}

function naiveTree(needles: readonly string[], value: unknown): boolean {
  if (typeof value === 'string') return !needles.some((needle) => value.includes(needle))
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, member]) => naiveTree(needles, key) && naiveTree(needles, member))
}

/** The longest end of a text that begins a needle. */
function tailOf(text: string, needles: readonly string[]): string {
  let start = text.length
  for (const needle of needles) {
    let at = Math.max(0, text.length - needle.length + 1)
    while (at < start && !needle.startsWith(text.slice(at))) at++
    start = Math.min(start, at)
  }
  return text.slice(start)
}

/** The best of some rounds, in milliseconds of this process: what else the machine does is not in it. */
function took(work: () => boolean, rounds = ROUNDS, times = 1): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const began = process.cpuUsage()
    for (let time = 0; time < times; time++) {
      if (!work()) throw new Error('something was found where nothing is')
    }
    const { user, system } = process.cpuUsage(began)
    best = Math.min(best, (user + system) / 1_000)
  }
  return best
}

const COLUMNS = [26, 10, 12, 14, 12, 14] as const
const show = (cells: readonly string[]) =>
  console.log(
    cells.map((cell, at) => (at === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[at] as number))).join(''),
  )
const perSecond = (letters: number, ms: number) => letters / 1e6 / (ms / 1_000)

heading(
  `Redaction bench · Node ${process.version} · ${process.platform} ${process.arch}, ${availableParallelism()} processors`,
)
const made = progressOf('nothing yet: making what is searched')
const loadOf = (length: number): Load => {
  const text = textOf(length)
  return { text, tree: treeOf(length), pieces: piecesOf(text) }
}
const [large, small, naive] = [loadOf(LARGE), loadOf(SMALL), loadOf(NAIVE)]
made.end()
show(['', 'secrets', 'MB/s', 'naive MB/s', '× naive', `${LARGE / 1e6} : ${SMALL / 1e6} MB`])
for (const { name, ours, naive: byHand } of subjects) {
  for (const count of [1, 10, secrets.length]) {
    const progress = progressOf(`${name}, ${count} secrets`)
    const redactor = redactorOf(count)
    const needles = [...redactor.needles]
    took(() => ours(redactor, small), 1)
    progress.at(0.1)
    const ms = took(() => ours(redactor, large))
    progress.at(0.5)
    // Ten times in a row: as much work in one timing as that of the large one.
    const smallMs = took(() => ours(redactor, small), ROUNDS, 10) / 10
    progress.at(0.6)
    const naiveMs = took(() => byHand(needles, naive), count > 10 ? 1 : ROUNDS)
    progress.end()
    const [rate, naiveRate] = [perSecond(LARGE, ms), perSecond(NAIVE, naiveMs)]
    show([name, `${count}`, number(rate), number(naiveRate), number(rate / naiveRate), `${number(ms / smallMs)} ×`])
  }
}

heading('One call')
show(['', 'secrets', 'µs', 'naive µs'])
const result = textOf(300)
for (const count of [1, secrets.length]) {
  const redactor = redactorOf(count)
  const needles = [...redactor.needles]
  const times = count > 1 ? 2_000 : 100_000
  const each = (work: () => boolean) => number((took(work, ROUNDS, times) * 1_000) / times)
  show([
    'a result of 300 letters',
    `${count}`,
    each(() => redactor.text(result) === result),
    each(() => !needles.some((needle) => result.includes(needle))),
  ])
}
const adding = took(() => !redactorOf(secrets.length).empty)
show(['adding one', 'of 361', number((adding * 1_000) / secrets.length)])
const between = took(() => {
  const redactor = new Redactor()
  return secrets.every(([name, secret]) => {
    redactor.add(name, secret)
    return redactor.text(result) === result
  })
})
show(['  and a search after each', 'of 361', number((between * 1_000) / secrets.length)])
note(`
Nothing is found in any of it, as in most results. The last column is how much longer ten times as much takes.
The naive way is measured on ${NAIVE / 1e6} MB. In a tree it does not look out for cycles, accessors, Proxies and
objects it can not look into.`)
