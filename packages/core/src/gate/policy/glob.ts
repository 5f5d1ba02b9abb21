/** Globs: `*` stands for any run of characters, `/` and `.` among them, `\*` for a star and `\\` for a backslash. */

export type Matcher = (text: string) => boolean

/** Stands for a `*` in a pattern's units: no text has a unit below zero. */
const ANY = -1
/** Units of a text times units of a pattern. Beyond it a text can't be judged in good time; a rule then errs. */
export const MOST_STEPS = 100_000_000
const STAR = 42
const BACKSLASH = 92

/** What is wrong with a pattern, as the end of a sentence that begins with where it stands. */
export function globProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty; `*` stands for everything'
  if (pattern.length > 1_000) return 'is longer than 1,000 characters'
  // A lone backslash is refused: who writes `C:\Windows\*` means a folder, and would get a star that stands for itself.
  if (/\\(?![*\\])|\\$/.test(pattern.replaceAll('\\\\', ''))) {
    return 'has a lone backslash; write `\\\\` for a backslash and `\\*` for a star'
  }
  return undefined
}

/** The text a pattern stands for, when it has no star but escaped ones. */
export function exactText(pattern: string): string | undefined {
  const units = unitsOf(pattern)
  return units.includes(ANY) ? undefined : String.fromCharCode(...units)
}

/**
 * A matcher of whole texts. Its work is at most the lengths of text and pattern multiplied, whatever they hold; it
 * throws for a text so long that this would be too much.
 */
export function compileGlob(pattern: string): Matcher {
  const exact = exactText(pattern)
  if (exact !== undefined) return (text) => text === exact
  const units = unitsOf(pattern)
  const first = units.indexOf(ANY)
  const last = units.lastIndexOf(ANY)
  const head = String.fromCharCode(...units.slice(0, first))
  const tail = String.fromCharCode(...units.slice(last + 1))
  const middle = units.slice(first, last + 1)
  if (middle.every((unit) => unit === ANY)) {
    if (head === '' && tail === '') return () => true
    if (tail === '') return (text) => text.startsWith(head)
    const least = head.length + tail.length
    return (text) => text.length >= least && text.startsWith(head) && text.endsWith(tail)
  }
  const longest = MOST_STEPS / units.length
  return (text) => {
    if (text.length > longest) throw new RangeError('the text is too long for the pattern')
    return matchUnits(text, units)
  }
}

/** Two pointers: after a mismatch the latest star takes one unit more; an earlier star never needs to be tried again. */
function matchUnits(text: string, units: readonly number[]): boolean {
  let at = 0
  let unit = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    if (unit < units.length && units[unit] === ANY) {
      star = unit++
      resume = at
    } else if (unit < units.length && units[unit] === text.charCodeAt(at)) {
      unit++
      at++
    } else if (star >= 0) {
      unit = star + 1
      at = ++resume
    } else return false
  }
  while (units[unit] === ANY) unit++
  return unit === units.length
}

function unitsOf(pattern: string): number[] {
  const units: number[] = []
  for (let index = 0; index < pattern.length; index++) {
    const unit = pattern.charCodeAt(index)
    if (unit === BACKSLASH) units.push(pattern.charCodeAt(++index))
    else if (unit !== STAR) units.push(unit)
    else if (units.at(-1) !== ANY) units.push(ANY)
  }
  return units
}
