/** What every SQLite file of ours needs, whatever it keeps. */

/** Tries again while another connection is in the way, for about five seconds. Blocks: a store is opened once. */
export function persist(work: () => void): void {
  for (let tries = 0; ; tries++) {
    try {
      work()
      return
    } catch (error) {
      if (!isBusy(error) || tries === OPEN_TRIES) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS)
    }
  }
}

const OPEN_PAUSE_MS = 10
const OPEN_TRIES = 500

/** Loads `node:sqlite` without the warning that Node 22 prints for it. */
export function sqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Whether another connection is in the way; nothing was done then, and the same may succeed a little later. */
export function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number } | null)?.errcode
  return typeof code === 'number' && ((code & 0xff) === 5 || (code & 0xff) === 6)
}
