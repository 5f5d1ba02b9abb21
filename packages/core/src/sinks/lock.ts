/** Locks: a small file that says which process has something, so that others can tell later whether it still lives. */
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** Which process has something. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** When it began; empty where nobody can tell. */
  readonly started: string
}

/**
 * Takes a lock: the file appears whole or not at all, and only where there is none. One whose owner is dead is taken
 * over, one that this process has it keeps. Throws when a living process has it. A lock that several processes want at
 * once needs an `aside` that is this one's alone.
 */
export function takeLock(path: string, aside = `${path}.new`): void {
  const text = lockText()
  const found = readQuietly(path)
  if (found === text) return
  if (found !== undefined) {
    if (isAlive(path)) throw new Error('another process has this lock')
    putAside(path, found)
  }
  // Written aside: nobody ever reads half a lock and takes its owner for dead. What another attempt left aside, on a disk
  // that was full then, is written over.
  writeFileSync(aside, text, { mode: 0o600 })
  try {
    linkSync(aside, path)
  } catch (error) {
    if (!NO_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    renameSync(aside, path)
  } finally {
    unlinkQuietly(aside)
  }
}

/** What file systems answer that have no second name for a file. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV']

/** Takes a dead owner's lock away, unless somebody was quicker and has put a new one there. */
function putAside(path: string, found: string): void {
  const aside = `${path}.${process.pid}`
  renameSync(path, aside)
  try {
    // Whose it is gets it back.
    if (readQuietly(aside) !== found) linkSync(aside, path)
  } finally {
    unlinkQuietly(aside)
  }
}

/** Gives a lock back. A lock that is gone is no error. */
export function releaseLock(path: string): void {
  unlinkQuietly(path)
}

/** Whether the process that took this lock still lives, as far as can be told. */
export function isAlive(path: string): boolean {
  const text = readQuietly(path)
  if (text === undefined) return false
  try {
    return isRunning(JSON.parse(text) as Holder)
  } catch {
    return false
  }
}

/** Whether that process lives, as far as can be told. */
export function isRunning({ pid, host, started }: Holder): boolean {
  // Another machine's process can't be asked, so it counts as alive.
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
    return startOf(pid) === started
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** What a lock says: enough to tell, later, whether its process still lives. */
function lockText(): string {
  return JSON.stringify(holder())
}

/** The process that runs this. */
export function holder(): Holder {
  return { pid: process.pid, host: hostname(), started: startOf(process.pid) }
}

/** Stands in the name of a file or folder in place of a holder when one has let go of it. */
export const NOBODY = 'left'

/** A holder as it stands in the name of a file or folder: `<pid>.<started>.<host>`. */
export function holderText({ pid, started, host }: Holder): string {
  return `${pid}.${started}.${plain(host)}`
}

/** Reads what `holderText` wrote; `undefined` for `NOBODY`. */
export function parseHolder(text: string): Holder | undefined {
  if (text === NOBODY) return undefined
  const [pid, started = '', host = ''] = text.split('.')
  // A host's name may have lost characters on the way; this machine's has lost the same.
  const here = holder().host
  return { pid: Number(pid), started, host: host === plain(here) ? here : host }
}

/** As it can stand between the dots of such a name. */
export function plain(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64)
}

/** When a process began, in the kernel's own words: a number may be given again to another process. Linux only. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function readQuietly(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone already.
  }
}
