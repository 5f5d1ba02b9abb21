/** Where secrets stand in a text, and putting marks there. */

/** Where a secret stands in a text, and what stands there instead. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly mark: string
}

/** Puts marks in a text. */
export function cut(text: string, matches: readonly Match[]): string {
  if (matches.length === 0) return text
  let shown = ''
  let from = 0
  for (const { start, end, mark } of matches) {
    shown += text.slice(from, start) + mark
    from = end
  }
  return shown + text.slice(from)
}

/**
 * Adds a match to others that are in order and end no later. Those that overlap become one; its mark is that of the
 * first, the longest where several begin.
 */
export function join(matches: Match[], match: Match): void {
  let { start, mark } = match
  for (let last = matches.at(-1); last && last.end > match.start; last = matches.at(-1)) {
    if (last.start < start || (last.start === start && last.end === match.end)) ({ start, mark } = last)
    matches.pop()
  }
  matches.push({ start, end: match.end, mark })
}

/** Adds a match to others that are in order, wherever it stands. */
export function insert(matches: readonly Match[], match: Match): Match[] {
  const inOrder: Match[] = []
  for (const one of [...matches, match].sort((a, b) => a.end - b.end || b.start - a.start)) join(inOrder, one)
  return inOrder
}
