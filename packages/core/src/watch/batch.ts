/** Those who wait for one write to a sink: they share its answer. */
interface Answer {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Batch {
  #answer: Answer | undefined

  /** Whether anybody waits. */
  get waited(): boolean {
    return this.#answer !== undefined
  }

  /** Settles with the next write. */
  wait(): Promise<void> {
    this.#answer ??= Promise.withResolvers<void>()
    return this.#answer.promise
  }

  /** A write is under way, or refused: whoever comes now waits for another. Answers who waited. */
  take(): Answer | undefined {
    const answer = this.#answer
    this.#answer = undefined
    return answer
  }
}

/** Put together by the engine only when it is read: a sink that is down is offered the same lines again and again. */
export function together(lines: readonly string[]): string {
  let text = ''
  for (const line of lines) text += line
  return text
}
