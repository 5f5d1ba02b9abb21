/**
 * A test runner for Stryker that loads everything once. Vitest starts a worker for each mutant, half a second before
 * the first assertion; six thousand mutants make that an hour. Here the tests of a room stay loaded in one process, with
 * Vitest's own `expect`, and of a mutant only the tests that reach it run, the quickest first.
 *
 * What a mutant spoils must not be charged to the next: a test that fails is tried again without the mutant, and where
 * it fails then, too, its file is loaded anew.
 */
import { registerHooks } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DryRunResult, MutantRunOptions, MutantRunResult, TestResult } from '@stryker-mutator/api/test-runner'
import { sourceOf } from './sources.ts'
import { collected, type Test, words } from './words.ts'

/** What instrumented code reads and writes. */
interface Instrumented {
  activeMutant?: string | undefined
  currentTestId?: string | undefined
  hitCount?: number | undefined
  hitLimit?: number | undefined
  mutantCoverage?: DryRunResult extends infer R ? unknown : never
}

const home = globalThis as { __stryker__?: Instrumented; __vitest__?: object; __vitest_worker__?: object }
/** A test that waits for something which never comes has failed after this long. */
const PATIENCE_MS = 4_000

export class Runner {
  static inject = [] as const
  readonly #seen = (home.__stryker__ ??= {})
  readonly #files = new Map<string, Test[]>()
  readonly #order = new Map<string, number>()
  #loads = 0
  /** The sandbox, which is the working directory from `init` on. */
  #root = ''
  #stray: unknown

  capabilities(): { reloadEnvironment: boolean } {
    return { reloadEnvironment: false }
  }

  async init(): Promise<void> {
    const root = process.cwd()
    this.#root = root
    // `expect` asks for the worker that it believes to be in.
    home.__vitest_worker__ = { config: {}, environment: { name: 'node' } }
    home.__vitest__ = { ...(await import('vitest')), ...words }
    const names = Object.keys(home.__vitest__).join(', ')
    const own = pathToFileURL(root).href
    registerHooks({
      resolve(id, context, next) {
        const from = context.parentURL ?? ''
        if (!from.startsWith(own) || from.includes('/node_modules/')) return next(id, context)
        if (id === 'vitest') return { url: 'mutation:vitest', shortCircuit: true, format: 'module' }
        const source = sourceOf(root, id, from)
        return source === undefined ? next(id, context) : next(pathToFileURL(source).href, context)
      },
      load(url, context, next) {
        if (url !== 'mutation:vitest') return next(url, context)
        return { format: 'module', shortCircuit: true, source: `export const { ${names} } = globalThis.__vitest__` }
      },
    })
    process.on('unhandledRejection', (reason) => {
      this.#stray ??= reason
    })
  }

  async dryRun({ testFiles = [] }: { testFiles?: string[] }): Promise<object> {
    const tests: object[] = []
    for (const file of testFiles) {
      this.#seen.activeMutant = undefined
      for (const test of await this.#load(file)) {
        this.#seen.currentTestId = test.id
        const began = performance.now()
        const failure = await this.#run(test)
        this.#seen.currentTestId = undefined
        const timeSpentMs = performance.now() - began
        this.#order.set(test.id, timeSpentMs)
        const told = { id: test.id, name: test.name, fileName: file, timeSpentMs }
        tests.push(
          failure === undefined ? { ...told, status: 0 } : { ...told, status: 1, failureMessage: String(failure) },
        )
      }
    }
    return { status: 'complete', tests, mutantCoverage: this.#seen.mutantCoverage }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation, sandboxFileName }: any): Promise<object> {
    if (mutantActivation === 'static') this.#seen.activeMutant = activeMutant.id
    void sandboxFileName
    for (const id of testFilter ?? []) {
      const file = join(this.#root, (id as string).split('#')[0] as string)
      if (!this.#files.has(file)) await this.#load(file)
    }
    const all = [...this.#files.values()].flat()
    const wanted = testFilter ? new Set<string>(testFilter) : undefined
    const chosen = all
      .filter(({ id }) => !wanted || wanted.has(id))
      .sort((one, other) => (this.#order.get(one.id) ?? 0) - (this.#order.get(other.id) ?? 0))
    Object.assign(this.#seen, { hitCount: hitLimit === undefined ? undefined : 0, hitLimit })
    let nrOfTests = 0
    for (const { id } of chosen) {
      nrOfTests++
      this.#seen.activeMutant = activeMutant.id
      let failure = await this.#run(this.#test(id))
      this.#seen.activeMutant = undefined
      if ((this.#seen.hitCount ?? 0) > (hitLimit ?? Infinity)) {
        this.#seen.hitCount = undefined
        await this.#renew(id)
        return { status: 'timeout', reason: `it was reached more than ${hitLimit} times` }
      }
      if (failure === undefined) continue
      if (mutantActivation !== 'static' && (await this.#run(this.#test(id))) !== undefined) {
        await this.#renew(id)
        // Not even loading it anew helps: the process begins again.
        if ((await this.#run(this.#test(id))) !== undefined) process.exit(1)
        this.#seen.activeMutant = activeMutant.id
        failure = await this.#run(this.#test(id))
        this.#seen.activeMutant = undefined
        await this.#renew(id)
        if (failure === undefined) continue
      }
      return { status: 'killed', killedBy: [id], failureMessage: String(failure), nrOfTests }
    }
    return { status: 'survived', nrOfTests }
  }

  #test(id: string): Test {
    return this.#files.get(join(this.#root, id.split('#')[0] as string))?.find((test) => test.id === id) as Test
  }

  async #load(file: string): Promise<readonly Test[]> {
    const tests = await collected(
      relative(this.#root, file),
      () => import(`${pathToFileURL(file).href}?load=${this.#loads++}`),
    )
    this.#files.set(file, tests)
    return tests
  }

  async #renew(id: string): Promise<void> {
    await this.#load(join(this.#root, id.split('#')[0] as string))
  }

  /** Answers why it failed; `undefined` when it did not. */
  async #run(test: Test): Promise<unknown> {
    this.#stray = undefined
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve(new Error('it did not end')), PATIENCE_MS)
    })
    const failure = await Promise.race([
      test.run().then(
        () => undefined,
        (error) => error ?? new Error('it threw nothing'),
      ),
      late,
    ])
    clearTimeout(timer)
    await new Promise((resolve) => setImmediate(resolve))
    return failure ?? this.#stray
  }
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'one-process', injectableClass: Runner }]
