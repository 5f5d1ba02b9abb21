/**
 * A test runner for Stryker that loads everything once. Vitest starts a worker for each mutant, half a second before
 * the first assertion; eight thousand mutants make that hours. Here the tests of a room stay loaded in one process,
 * with Vitest's own `expect`, and of a mutant only the tests that reach it run, the quickest first. `--testRunner
 * vitest` has Vitest run them, for comparison.
 *
 * What a mutant spoils must not be charged to the next: a test that fails is tried again without the mutant, and where
 * it fails then, too, its file is loaded anew; where even that does not help, the process begins again.
 */
import { registerHooks } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sourceOf } from './sources.ts'
import { collected, type Test, words } from './words.ts'

/** What instrumented code reads and writes. */
interface Instrumented {
  activeMutant?: string | undefined
  currentTestId?: string | undefined
  hitCount?: number | undefined
  hitLimit?: number | undefined
  readonly mutantCoverage?: { readonly perTest: Record<string, unknown> }
}

/** What Stryker asks for, as far as it matters here. */
interface MutantRun {
  readonly activeMutant: { readonly id: string }
  /** Ids of the tests that reach the mutant; of one that nobody can tell this of, all files of tests. */
  readonly testFilter: readonly string[]
  /** How often a mutant may be reached before it counts as an endless loop. */
  readonly hitLimit?: number
  /** `static`: the mutant is active from the beginning, also while modules load. */
  readonly mutantActivation: 'static' | 'runtime'
  /** Whether modules must not be those that another mutant has met while they loaded. */
  readonly reloadEnvironment: boolean
}

const home = globalThis as { __stryker__?: Instrumented; __vitest__?: object; __vitest_worker__?: object }
home.__stryker__ ??= {}
const seen: Instrumented = home.__stryker__

/** A test that waits for something which never comes has failed after this long, beyond four times what it took before. */
const PATIENCE_MS = 6_000
/** Tests that take more of the processor's time than this judge no mutant: they are of large or hostile input. */
const SLOW_MS = 1_500

class Runner {
  static inject = [] as const
  readonly #files = new Map<string, readonly Test[]>()
  /** How long each test took without a mutant. */
  readonly #took = new Map<string, number>()
  #loads = 0
  /** Part of every module's address in the sandbox: another one loads all of them anew. */
  #generation = 0
  #stale = false
  /** The sandbox, which is the working directory from `init` on. */
  #root = ''
  /** A rejection that nobody has waited for. */
  #stray: unknown

  capabilities(): { reloadEnvironment: boolean } {
    return { reloadEnvironment: true }
  }

  async init(): Promise<void> {
    this.#root = process.cwd()
    // `expect` asks for the worker that it believes to be in.
    home.__vitest_worker__ = { config: {}, environment: { name: 'node' } }
    home.__vitest__ = { ...(await import('vitest')), ...words }
    this.#redirect(Object.keys(home.__vitest__))
    process.on('unhandledRejection', (reason) => {
      this.#stray ??= reason
    })
  }

  async dryRun({ testFiles = [] }: { testFiles?: readonly string[] }): Promise<object> {
    const tests: object[] = []
    seen.activeMutant = undefined
    for (const fileName of testFiles) {
      for (const test of await this.#load(fileName)) {
        const began = performance.now()
        const used = process.cpuUsage()
        seen.currentTestId = test.id
        const failure = await this.#run(test)
        seen.currentTestId = undefined
        const timeSpentMs = performance.now() - began
        const slow = process.cpuUsage(used).user > SLOW_MS * 1_000
        this.#took.set(test.id, timeSpentMs)
        if (slow) delete seen.mutantCoverage?.perTest[test.id]
        const told = { id: test.id, name: test.name, fileName, timeSpentMs }
        tests.push({
          ...told,
          ...(failure === undefined ? { status: slow ? 2 : 0 } : { status: 1, failureMessage: `${failure}` }),
        })
      }
    }
    return { status: 'complete', tests, mutantCoverage: seen.mutantCoverage }
  }

  async mutantRun(asked: MutantRun): Promise<object> {
    const { hitLimit = Number.POSITIVE_INFINITY } = asked
    const mutant = asked.activeMutant.id
    // Where tests are chosen by file, Stryker calls a static mutant `runtime`; that nobody knows its tests tells it apart.
    const always = asked.mutantActivation === 'static' || !asked.testFilter[0]?.includes('#')
    seen.activeMutant = always ? mutant : undefined
    if (asked.reloadEnvironment || this.#stale) {
      this.#generation++
      this.#files.clear()
    }
    this.#stale = always
    try {
      await this.#loadAll(asked.testFilter)
    } catch (error) {
      // A static mutant that keeps modules from loading is noticed by whoever loads them.
      return { status: 'killed', killedBy: asked.testFilter, failureMessage: String(error), nrOfTests: 0 }
    }
    Object.assign(seen, { hitCount: asked.hitLimit === undefined ? undefined : 0, hitLimit })
    let nrOfTests = 0
    for (const id of this.#chosen(asked.testFilter)) {
      nrOfTests++
      let failure = await this.#runWith(mutant, always, id)
      if ((seen.hitCount ?? 0) > hitLimit) {
        await this.#renew(id)
        return { status: 'timeout', reason: `it was reached more than ${hitLimit} times` }
      }
      if (failure !== undefined && !always && (await this.#run(this.#test(id))) !== undefined) {
        await this.#renew(id)
        if ((await this.#run(this.#test(id))) !== undefined) process.exit(1)
        failure = await this.#runWith(mutant, always, id)
        await this.#renew(id)
      }
      if (failure !== undefined) return { status: 'killed', killedBy: [id], failureMessage: String(failure), nrOfTests }
    }
    return { status: 'survived', nrOfTests }
  }

  async #runWith(mutant: string, always: boolean, id: string): Promise<unknown> {
    seen.activeMutant = mutant
    const failure = await this.#run(this.#test(id))
    if (!always) seen.activeMutant = undefined
    return failure
  }

  /** Answers why it failed; `undefined` when it did not. */
  async #run(test: Test): Promise<unknown> {
    this.#stray = undefined
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      const patience = PATIENCE_MS + 4 * (this.#took.get(test.id) ?? PATIENCE_MS * 5)
      timer = setTimeout(() => resolve(new Error('it did not end')), patience)
    })
    const ended = test.run().then(
      () => undefined,
      (error) => error ?? new Error('it threw nothing'),
    )
    const failure = await Promise.race([ended, late])
    clearTimeout(timer)
    await new Promise((resolve) => setImmediate(resolve))
    return failure ?? this.#stray
  }

  #chosen(filter: readonly string[]): string[] {
    const ids = filter.flatMap((one) => (one.includes('#') ? one : (this.#files.get(one) ?? []).map(({ id }) => id)))
    return ids.toSorted((one, other) => (this.#took.get(one) ?? 0) - (this.#took.get(other) ?? 0))
  }

  #test(id: string): Test {
    const test = this.#files.get(this.#fileOf(id))?.find((one) => one.id === id)
    if (!test) throw new Error(`there is no test ${id}`)
    return test
  }

  #fileOf(id: string): string {
    const end = id.indexOf('#')
    return end < 0 ? id : join(this.#root, id.slice(0, end))
  }

  /** Loads what is not loaded, in this process or since the last static mutant. */
  async #loadAll(filter: readonly string[]): Promise<void> {
    for (const file of new Set(filter.map((id) => this.#fileOf(id)))) {
      if (!this.#files.has(file)) await this.#load(file)
    }
  }

  async #load(file: string): Promise<readonly Test[]> {
    const url = `${pathToFileURL(file).href}?load=${this.#loads++}`
    const tests = await collected(relative(this.#root, file), () => import(url))
    this.#files.set(file, tests)
    return tests
  }

  async #renew(id: string): Promise<void> {
    await this.#load(this.#fileOf(id))
  }

  /** Leads the sandbox's imports of packages to the sandbox, and those of Vitest to words that only collect tests. */
  #redirect(names: readonly string[]): void {
    const own = pathToFileURL(this.#root).href
    registerHooks({
      resolve: (id, context, next) => {
        const from = context.parentURL ?? ''
        if (!from.startsWith(own) || from.includes('/node_modules/')) return next(id, context)
        if (id === 'vitest') return { url: 'mutation:vitest', shortCircuit: true, format: 'module' }
        const source = sourceOf(this.#root, id, from)
        const found = next(source === undefined ? id : pathToFileURL(source).href, context)
        const sandboxed = found.url.startsWith(own) && !found.url.includes('/node_modules/')
        return sandboxed
          ? { ...found, url: `${found.url}${found.url.includes('?') ? '&' : '?'}${this.#generation}` }
          : found
      },
      load: (url, context, next) => {
        if (url !== 'mutation:vitest') return next(url, context)
        const source = `export const { ${names.join(', ')} } = globalThis.__vitest__`
        return { format: 'module', shortCircuit: true, source }
      },
    })
  }
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'one-process', injectableClass: Runner }]
