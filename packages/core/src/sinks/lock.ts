/** Whether the process that left a lock behind still lives. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** Which process this is, in a way that can be asked after later. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** When it began, in the kernel's own words: a number may be given again to another process. Empty where unknown. */
  readonly started: string
}

/** The process that runs this. */
export function holder(): Holder {
  return { pid: process.pid, host: hostname(), started: startOf(process.pid) }
}

/** What a lock says: enough to tell, later, whether its process still lives. */
export function lockText(): string {
  return JSON.stringify(holder())
}

/** Whether the process that wrote the file lives. */
export function isAlive(lock: string): boolean {
  let text: string
  try {
    text = readFileSync(lock, 'utf8')
  } catch {
    return false
  }
  try {
    return isRunning(JSON.parse(text) as Holder)
  } catch {
    return false
  }
}

/** Whether that process lives. Another machine's can't be asked, so it counts as alive. */
export function isRunning({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
    return startOf(pid) === started
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Linux only. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
