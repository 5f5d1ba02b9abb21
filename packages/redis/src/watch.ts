/** Hints of what others changed, over pub/sub. They save waiting; nothing depends on one. */
import type { Hint } from '@haldir/core/store'
import type { Connection } from './client.ts'

export interface Hints {
  watch(listener: (hint: Hint) => void): () => void
  close(): void
}

/** One connection that listens for all that watch, opened for the first and closed with the last. */
export function hints(listen: NonNullable<Connection['listen']>, channel: string): Hints {
  const listeners = new Set<(hint: Hint) => void>()
  let stop: (() => void) | undefined

  function tell(hint: Hint): void {
    // Each connection tells of nobody first, to see whether it may.
    if (hint.about !== 'everything' && hint.ids.length === 0) return
    for (const listener of [...listeners]) {
      // Who watches must not stop the others, neither by throwing nor by rejecting.
      ;(async () => listener(hint))().catch(() => {})
    }
  }

  function close(): void {
    stop?.()
    stop = undefined
  }

  return {
    watch(listener: (hint: Hint) => void): () => void {
      // Each time one of its own: the same listener may watch twice.
      const own = (hint: Hint) => listener(hint)
      listeners.add(own)
      try {
        stop ??= listen(
          channel,
          (text) => tell(hintFrom(text)),
          // Of what happened while nobody listened there is no word.
          () => tell({ about: 'everything' }),
        )
      } catch {
        // Without hints all goes on: everybody looks for himself from time to time.
      }
      return () => {
        if (listeners.delete(own) && listeners.size === 0) close()
      }
    },

    close() {
      listeners.clear()
      close()
    },
  }
}

/** What can't be read may have been about anything. */
function hintFrom(text: string): Hint {
  try {
    const { about, ids } = JSON.parse(text)
    const sound = (about === 'sessions' || about === 'approvals') && Array.isArray(ids)
    if (sound && ids.every((id) => typeof id === 'string')) return { about, ids }
  } catch {
    // As below.
  }
  return { about: 'everything' }
}
