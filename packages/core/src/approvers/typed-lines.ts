/** What a person types, line by line, and only while somebody listens. */
import { StringDecoder } from 'node:string_decoder'

/** What is read from: `process.stdin`, or anything like it. */
export interface TerminalInput {
  /** Only at a terminal is there a person. */
  readonly isTTY?: boolean | undefined
  readonly readableEnded?: boolean | undefined
  readonly destroyed?: boolean | undefined
  readonly readableFlowing?: boolean | null | undefined
  on(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  on(event: 'end' | 'close' | 'error', listener: () => void): unknown
  off(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  off(event: 'end' | 'close' | 'error', listener: () => void): unknown
  resume(): unknown
  pause(): unknown
  ref?(): unknown
  unref?(): unknown
}

const MOST = 4_096
const QUIET_TURNS = 3

export class TypedLines {
  readonly #input: TerminalInput
  readonly #line: (line: string) => void
  readonly #end: () => void
  #decoder = new StringDecoder('utf8')
  #typed = ''
  /** How many have come. */
  #chunks = 0
  #listening = false
  #ended = false
  /** Whether nobody else was reading: then it stops when we stop. */
  #own = false

  constructor(input: TerminalInput, line: (line: string) => void, end: () => void) {
    this.#input = input
    this.#line = line
    this.#end = end
  }

  /** Whether anybody could ever type here (again). */
  get gone(): boolean {
    const { isTTY, readableEnded, destroyed } = this.#input
    return this.#ended || isTTY !== true || readableEnded === true || destroyed === true
  }

  /**
   * From now on lines are heard. What was typed before, and only now comes out of the terminal's own memory, is dropped:
   * it was no answer to what nobody had read. A terminal hands out one line in a turn of the loop, so all that is pasted
   * or typed ahead has come only when some turns have brought nothing.
   */
  async listen(): Promise<void> {
    if (!this.#listening) {
      this.#listening = true
      this.#own = this.#input.readableFlowing !== true
      this.#input.on('data', this.#data)
      for (const event of ENDS) this.#input.on(event, this.#over)
      this.#input.resume()
      // A question alone does not keep a process alive; a call that waits for its answer does.
      if (this.#own) this.#input.unref?.()
    }
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      const before = this.#chunks
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#chunks !== before) quiet = -1
    }
    this.#forget()
  }

  stop(): void {
    if (!this.#listening) return
    this.#listening = false
    this.#input.off('data', this.#data)
    for (const event of ENDS) this.#input.off(event, this.#over)
    this.#forget()
    if (!this.#own) return
    this.#input.pause()
    this.#input.ref?.()
  }

  readonly #data = (chunk: Uint8Array | string): void => {
    this.#chunks++
    const text = this.#typed + (typeof chunk === 'string' ? chunk : this.#decoder.write(Buffer.from(chunk)))
    const lines = text.split('\n')
    this.#typed = (lines.pop() as string).slice(0, MOST)
    for (const line of lines) if (this.#listening) this.#line(line.replace(/\r$/, ''))
  }

  readonly #over = (): void => {
    this.#ended = true
    this.stop()
    this.#end()
  }

  #forget(): void {
    this.#typed = ''
    this.#decoder = new StringDecoder('utf8')
  }
}

const ENDS = ['end', 'close', 'error'] as const
