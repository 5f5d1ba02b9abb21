/**
 * Stands in for `after` of `next/server`, which runs what it is given once the response is finished, also when the
 * browser has left. Here `main.ts` says when that is.
 */
const due: (() => Promise<void>)[] = []

export function after(work: () => Promise<void>): void {
  due.push(work)
}

/** The response is finished. */
export async function finished(): Promise<void> {
  for (const work of due.splice(0)) await work()
}
