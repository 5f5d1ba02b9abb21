/** Real processes for the crash tests: started from `programs/`, told things by line, killed by their own id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** What Node has compiled of the programs: those that end in good order leave it behind, and all start in a third of the time. */
const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/programs')
const FLAGS = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning']

export interface Surroundings {
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export class Program {
  /** Every whole line it has printed. */
  readonly lines: string[] = []
  /** When everything it printed has been read: the signal that ended it, or its exit code. */
  readonly ended: Promise<NodeJS.Signals | number>
  readonly #child: ChildProcess
  #heard: () => void = () => {}
  #over = false

  /** `under`: a command that starts it, with its arguments. */
  constructor(name: string, input: object, { under = [], env = {} }: Surroundings = {}) {
    const file = join(import.meta.dirname, 'programs', `${name}.ts`)
    const [command, ...args] = [...under, process.execPath, ...FLAGS, file, JSON.stringify(input)]
    this.#child = spawn(command as string, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { NODE_COMPILE_CACHE: COMPILED, ...process.env, ...env },
    })
    // Telling something to a process that was killed is no error here.
    this.#child.stdin?.on('error', () => {})
    createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) => {
      this.lines.push(line)
      this.#heard()
    })
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#over = true
      this.#heard()
      return signal ?? code
    })
  }

  /** Waits until it has printed this many lines that begin so, or that are such. */
  async said(what: string | RegExp, times = 1): Promise<void> {
    const fits = (line: string) => (typeof what === 'string' ? line.startsWith(what) : what.test(line))
    while (this.lines.filter(fits).length < times) {
      if (this.#over) throw new Error(`the program ended without saying \`${what}\``)
      await new Promise<void>((heard) => {
        this.#heard = heard
      })
    }
  }

  /** It has ended, however. */
  get over(): boolean {
    return this.#over
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  kill(): Promise<NodeJS.Signals | number> {
    this.#child.kill('SIGKILL')
    return this.ended
  }
}

/** A folder for one test. */
export function scratch(): { readonly path: (...parts: string[]) => string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'haldir-crash-'))
  return {
    path: (...parts) => join(directory, ...parts),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Waits by the machine's clock: these tests are about real processes. */
export function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}

/** Skips the test that runs, and prints why: not every reporter does. */
export function skipped(context: { skip(note: string): void }, reason: string): void {
  console.info(`skipped: ${reason}`)
  context.skip(reason)
}
