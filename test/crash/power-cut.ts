/**
 * What a power cut would have left of a folder, told from the system calls of the process that wrote there: of each file
 * what an `fdatasync` had confirmed, and no file whose name no `fsync` of its folder had. The kernel of the test keeps more.
 */
import { readFileSync } from 'node:fs'
import type { Recorded } from './records.ts'

interface Disk {
  written: number
  synced: number
  named: boolean
}

/** `log`: of `strace -f -y`. */
export function leftByPowerCut(log: string, directory: string): Recorded[] {
  const files = new Map<string, Disk>()
  /** Calls that were interrupted in the log by those of another thread. */
  const begun = new Map<string, () => void>()
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const thread = /^\d+/.exec(line)?.[0] ?? ''
    const resumed = /<\.\.\. \w+ resumed>.*= (-?\d+)/.exec(line)
    if (resumed) {
      if (Number(resumed[1]) >= 0) begun.get(thread)?.()
      begun.delete(thread)
      continue
    }
    const done = effectOf(line, files, directory)
    if (!done) continue
    if (line.endsWith('<unfinished ...>')) begun.set(thread, done)
    else if (/= \d+(<[^>]*>)?$/.test(line)) done()
  }
  return [...files].flatMap(([path, { synced, named }]) => {
    const kept = named ? readFileSync(path).subarray(0, synced).toString('utf8') : ''
    return kept.split('\n').flatMap((text) => (text.endsWith('}') ? [JSON.parse(text) as Recorded] : []))
  })
}

/** What becomes true when the call has succeeded. What is confirmed is what was there when it began. */
function effectOf(line: string, files: Map<string, Disk>, directory: string): (() => void) | undefined {
  const made = /openat\(.*"([^"]*\.jsonl)", [A-Z_|]*O_CREAT/.exec(line)?.[1]
  if (made) return () => files.set(made, { written: 0, synced: 0, named: false })
  const [, call, path = '', rest = ''] = /(\w+)\(\d+<([^>]*)>(.*)/.exec(line) ?? []
  if (call === 'fsync' && path === directory) {
    const names = [...files.values()]
    return () => {
      for (const file of names) file.named = true
    }
  }
  const file = files.get(path)
  if (!file) return undefined
  const { written } = file
  const count = Number(/(\d+)(\)| <unf)/.exec(rest.slice(rest.lastIndexOf(',')))?.[1])
  const after: Record<string, () => Partial<Disk>> = {
    fdatasync: () => ({ synced: Math.max(file.synced, written) }),
    write: () => ({ written: file.written + count }),
    ftruncate: () => ({ written: count, synced: Math.min(file.synced, count) }),
  }
  const changes = after[call as string]
  return changes && (() => void Object.assign(file, changes()))
}
