/**
 * What one decision of the policy costs, beside other engines that answer the same question: may this agent call this
 * tool with this amount? All in one run, against the built packages, and every answer is compared before anything is
 * timed. It ends with 0 whatever the figures are. `--quick` takes a quarter of the timings.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Figures, type Plan, ratio } from './measure.ts'
import { type Contestant, lookupAndCompare, mapLookup, prepare, versionOf } from './policy/contestant.ts'
import { haldir, ownRows } from './policy/haldir.ts'
import { opa } from './policy/opa.ts'
import { absent, bar, columnNames, row } from './policy/print.ts'
import { rivals } from './policy/rivals.ts'
import { CALLS, rulesOf } from './policy/rules.ts'
import { allowedInAll, type Timed, timed } from './policy/timing.ts'
import { closing, heading, note, number, progressOf } from './table.ts'

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values
const plan: Plan = { rounds: quick ? 10 : 40, size: 15, warmUp: quick ? 15 : 30 }
const SIZES = [10, 1_000] as const

const NOTES = `
Engines take turns in blocks of ${plan.size} timings, a timing covers as many decisions as take 0.3 ms; a figure is the
median timing, a ratio the median over the rounds of one block's p50 over the other's. Requests stand ready
in the form each engine takes; what an engine makes of one (text, memory of a WebAssembly module) is in its
figure. 1,000 rules are four each of 250 tools: a limit on the amount, two agents allowed, one denied; any
that denies wins, and what none matches is denied. Haldir also names the rule and the reason.`

/** A contestant at both sizes. */
type Pair = readonly [small: Figures, large: Figures]

await main()

async function main(): Promise<void> {
  const { platform, arch, version } = process
  heading(`Policy bench · Node ${version} · ${platform} ${arch}, ${availableParallelism()} processors`)
  const { ready, taking, left } = await enter([mapLookup, lookupAndCompare, haldir, ...rivals])
  const names = new Set(taking.flatMap(({ from }) => from ?? []))
  note([...names].map((name) => `${name} ${versionOf(name)}`).join(' · '))
  note(`On ${number(CALLS)} random calls each of them answers as the reference does; floors answer a part of it.`)

  const own = ownRows()
  const { at, end } = progressOf('decisions')
  const figures = await timed([...ready, ...own], plan, at)
  end()

  const pairs = taking.map((_, which): Pair => [figures[which * 2] as Figures, figures[which * 2 + 1] as Figures])
  const pairOf = (contestant: Contestant) => pairs[taking.indexOf(contestant)] as Pair
  const [of, floor] = [pairOf(haldir), pairOf(lookupAndCompare)]
  columnNames()
  for (const [which, pair] of pairs.entries()) {
    const overHaldir = taking[which] === haldir ? [undefined, undefined] : pair.map((it, size) => over(it, of[size]))
    const overFloor = taking[which] === lookupAndCompare ? undefined : over(pair[1], floor[1])
    row((taking[which] as Contestant).name, [pair[0].p50, pair[1].p50, ...overHaldir, overFloor])
  }
  for (const [name, why] of left) absent(name, why)
  note('Haldir, 1,000 rules')
  const ownFigures = figures.slice(ready.length)
  for (const it of ownFigures) row(`  ${it.name}`, [undefined, it.p50, undefined, over(it, of[1]), over(it, floor[1])])
  const others = taking.filter(({ from }) => from !== undefined).map(pairOf)
  bars(of, ownFigures[0] as Figures, floor, others)
  note(NOTES)
  if (allowedInAll() === 0) throw new Error('no call was ever allowed')
}

interface Entered {
  /** Each that takes part, at each size. */
  readonly ready: Timed[]
  readonly taking: Contestant[]
  readonly left: [name: string, why: string][]
}

/** Who takes part: all whose answers are right. */
async function enter(contestants: Contestant[]): Promise<Entered> {
  const entered: Entered = { ready: [], taking: [], left: [] }
  const compiled = opaOr((why) => entered.left.push(['OPA, WebAssembly', why]))
  const all = compiled ? [...contestants, compiled] : contestants
  const { at, end } = progressOf('nothing yet: checking every answer')
  for (const [done, contestant] of all.entries()) {
    at(done / all.length)
    try {
      const sizes: Timed[] = []
      for (const size of SIZES) sizes.push({ name: contestant.name, decide: await prepare(contestant, rulesOf(size)) })
      entered.ready.push(...sizes)
      entered.taking.push(contestant)
    } catch (error) {
      // Figures of a Haldir that decides wrongly are worth nothing.
      if (contestant === haldir) throw new Error('Haldir decides wrongly', { cause: error })
      entered.left.push([contestant.name, error instanceof Error ? error.message : 'failed'])
    }
  }
  end()
  return entered
}

function bars(of: Pair, sameCalls: Figures, floor: Pair, others: readonly Pair[]): void {
  heading('Bars')
  const met: boolean[] = []
  const held = (claim: string, found: string, holds: boolean) => {
    bar(claim, found, holds)
    met.push(holds)
  }
  for (const pair of others) {
    const [small, large] = pair.map((it, size) => over(it, of[size])) as [number, number]
    held(`ahead of ${pair[0].name}`, `${number(small)} × and ${number(large)} ×`, small > 1 && large > 1)
  }
  for (const [what, large] of [
    ['the same calls at 10 and at 1,000 rules, ±20 %', sameCalls],
    ['calls of all tools at 10 and at 1,000 rules, ±20 %', of[1]],
  ] as const) {
    const growth = over(large, of[0])
    held(what, `${number(growth)} ×`, growth >= 0.8 && growth <= 1.2)
  }
  for (const [which, size] of SIZES.entries()) {
    const [found, most] = [(of[which] as Figures).p50, 5 * (floor[which] as Figures).p50 + 500]
    const claim = `at ${size.toLocaleString('en-US')} rules ≤ 5 × (Map lookup + compare) + 500 ns`
    held(claim, `${number(found)} of ${number(most)} ns`, found <= most)
  }
  closing(met.filter((it) => it).length, met.length)
}

function over(one: Figures, other: Figures | undefined): number {
  return ratio(one, other as Figures)
}

function opaOr(without: (why: string) => void): Contestant | undefined {
  try {
    const contestant = opa()
    if (!contestant) without('not measured: no `opa` on the PATH to compile its policy')
    return contestant
  } catch (error) {
    without(error instanceof Error ? error.message : 'failed')
    return undefined
  }
}
