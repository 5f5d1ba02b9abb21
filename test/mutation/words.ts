/** Vitest's words for making tests, as far as this repository uses them; `expect` and `vi` are Vitest's own. */

export interface Test {
  readonly id: string
  readonly name: string
  run(): Promise<void>
}

type Work = (...args: any[]) => unknown
interface Suite {
  readonly name: string
  readonly before: Work[]
  readonly after: Work[]
  readonly once: Work[]
}

let suites: Suite[] = []
let tests: Test[] = []
let taken = new Map<string, number>()
let path = ''
let finished: Work[] = []

/** Loads a file of tests and answers what it has made. */
export async function collected(file: string, load: () => Promise<unknown>): Promise<Test[]> {
  suites = [{ name: '', before: [], after: [], once: [] }]
  tests = []
  taken = new Map()
  path = file
  await load()
  return tests
}

function add(name: string, args: readonly unknown[], work: Work): void {
  const within = suites.slice()
  const full = [...within.map((suite) => suite.name), name].filter((word) => word !== '').join(' ')
  // Rows of a table share a name: they are told apart by their number.
  const count = (taken.get(full) ?? 0) + 1
  taken.set(full, count)
  const called = count === 1 ? full : `${full} (${count})`
  tests.push({
    id: `${path}#${called}`,
    name: called,
    async run() {
      const shared = (globalThis as any)[Symbol.for('haldir.shared.v1')]
      shared?.haldirs.clear()
      shared?.tools.clear()
      finished = []
      const mine = finished
      for (const { once } of within) for (const hook of once.splice(0)) await hook()
      try {
        for (const { before } of within) for (const hook of before) await hook()
        await work(...args)
      } finally {
        for (const hook of mine.reverse()) await hook()
        for (const { after } of within.toReversed()) for (const hook of after.toReversed()) await hook()
      }
    },
  })
}

const bodyOf = (rest: readonly unknown[]) => rest.find((one) => typeof one === 'function') as Work
/** Rows are spread into arguments only where every row is a list. */
const rowsOf = (table: readonly unknown[]) =>
  table.every((row) => Array.isArray(row)) ? (table as unknown[][]) : table.map((row) => [row])

const it = Object.assign((name: string, ...rest: unknown[]) => add(name, [], bodyOf(rest)), {
  each:
    (table: readonly unknown[]) =>
    (name: string, ...rest: unknown[]) => {
      for (const row of rowsOf(table)) add(name, row, bodyOf(rest))
    },
  skipIf: (skip: unknown) => (skip ? () => {} : it),
})

function group(name: string, args: readonly unknown[], work: Work): void {
  suites.push({ name, before: [], after: [], once: [] })
  work(...args)
  suites.pop()
}

const describe = Object.assign((name: string, ...rest: unknown[]) => group(name, [], bodyOf(rest)), {
  each:
    (table: readonly unknown[]) =>
    (name: string, ...rest: unknown[]) => {
      for (const row of rowsOf(table)) group(name, row, bodyOf(rest))
    },
})

const here = () => suites.at(-1) as Suite

export const words = {
  it,
  test: it,
  describe,
  beforeEach: (hook: Work) => void here().before.push(hook),
  afterEach: (hook: Work) => void here().after.push(hook),
  beforeAll: (hook: Work) => void here().once.push(hook),
  afterAll: () => {},
  onTestFinished: (hook: Work) => void finished.push(hook),
}
