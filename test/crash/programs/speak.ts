/** How the programs talk to the test that started them. */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What the test passed along. */
export function input<T>(): T {
  return JSON.parse(process.argv[2] as string) as T
}

/** Prints a line at once: what was said before a SIGKILL is heard. */
export function say(line: string): void {
  writeSync(1, `${line}\n`)
}

/** Waits to be told this line. */
export async function told(expected: string): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) if (line === expected) break
}

export function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}
