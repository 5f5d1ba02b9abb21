/** Calendar windows. A meter with a window counts in one row per window; the next window is a new row. */

/** How long a meter counts before it starts again. `total` never does. */
export type Window = 'total' | 'hour' | 'day' | 'month'

export const WINDOWS: readonly Window[] = ['total', 'hour', 'day', 'month']

export function isWindow(value: unknown): value is Window {
  return WINDOWS.includes(value as Window)
}

// How much of an ISO timestamp names the window: 2026-11-23T04, 2026-11-23, 2026-11.
const PRECISION: Record<Exclude<Window, 'total'>, number> = { hour: 13, day: 10, month: 7 }

/** The row that a meter counts in at a moment of the store's clock (UTC). */
export function rowOf(key: string, window: Window, now: number): string {
  return window === 'total' ? key : `${key}|${new Date(now).toISOString().slice(0, PRECISION[window])}`
}
