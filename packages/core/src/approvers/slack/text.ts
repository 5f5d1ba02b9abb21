/**
 * Text for Slack's mrkdwn: models and customers wrote some of it, and Slack acts on what is marked up in the right way.
 * What is shown here mentions nobody, links nowhere and formats nothing.
 */
import { printable, printableLines } from '../../printable.ts'

/** The three characters that Slack's markup begins with: mentions, links and dates are all `<…>`. */
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const USER = /^slack:([UW][A-Z0-9]{1,40})$/

export interface Fitted {
  readonly text: string
  /** Whether nothing had to be left out. */
  readonly whole: boolean
}

/** Text that can't act on what stands around it; never half an entity. */
export function escaped(text: string): string {
  return text.replace(/[&<>]/g, (one) => ENTITIES[one] as string)
}

/**
 * A name or a sentence, in one line: at most `most` characters of it, which take up to five times the room. Sentences
 * of Haldir's have backquotes round names; as these would end the code, they are shown as apostrophes.
 */
export function inline(text: string, most: number): string {
  // Beside a blank, a backquote is none that begins or ends code.
  const marks = text.slice(0, most + 1).replace(/`|^ | $/g, (one) => (one === ' ' ? '\\u{20}' : "'"))
  return `\`${escaped(plain(marks, most)) || '-'}\``
}

/** The same where nothing is marked up. */
export function plain(text: string, most: number): string {
  const read = text.slice(0, most + 1)
  const shown = printable(read, read.length)
  return shown.length <= most ? shown : `${shown.slice(0, most - 1).toWellFormed()}…`
}

/** Lines in a code block that they can't end, as many characters as there is `room` for, the fences included. */
export function fenced(text: string, room: number): Fitted {
  const open = '```\n'
  const close = '\n```'
  const left = room - open.length - close.length
  // No character gets shorter on the way: what is behind the room need not be looked at.
  const shown = printableLines(text.slice(0, left + 1))
  let body = ''
  let whole = true
  // A run of backquotes may end the block; a single one may not.
  for (const one of shown.replace(/``+/g, (run) => '\\u{60}'.repeat(run.length))) {
    const piece = ENTITIES[one] ?? one
    whole &&= body.length + piece.length <= left
    if (body.length + piece.length > left) break
    body += piece
  }
  return { text: open + body + close, whole }
}

/** A time that Slack shows in the reader's own zone; readers without that see UTC. */
export function date(at: Date): string {
  const utc = at.toISOString().slice(0, 19).replace('T', ' ')
  return `<!date^${Math.floor(at.getTime() / 1000)}^{date_short_pretty} {time_secs}|${utc} UTC>`
}

/** Whoever has said something: by name where Slack knows them. */
export function person(by: string): string {
  const user = USER.exec(by)?.[1]
  return user === undefined ? inline(by, 40) : `<@${user}>`
}

/** `15 min`, `2 h`, `90 s`. */
export function duration(ms: number): string {
  const [unit, size] = (
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['min', 60_000],
    ] as const
  ).find(([, size]) => ms >= size && ms % size === 0) ?? ['s', 1_000]
  return `${Math.ceil(ms / size)} ${unit}`
}
