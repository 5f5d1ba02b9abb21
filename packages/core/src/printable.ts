/** Text for a terminal: models and customers wrote some of it, and a terminal obeys what it is told in the right bytes. */

/**
 * What acts on a terminal or does not show on it: control characters (ANSI sequences begin with one), bidirectional and
 * other invisible characters, every blank but the space, what has no meaning yet.
 */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu

/** Shows what would act or hide: U+202E becomes `\u{202e}`. At most `most` characters are read; `…` stands for the rest. */
export function printable(text: string, most: number): string {
  return cut(text, most).replace(UNSEEN, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
}

/** The first `most` characters; when there are more, the last of them is `…`. Never half a character. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text
  // Twice as many units as characters are enough to tell, however long the text is.
  const characters = [...text.slice(0, 2 * most + 2)]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`
}

/** How many columns a text takes, when each character takes one. */
export function widthOf(text: string): number {
  return [...text].length
}

/** Every line of a text by itself, whole: what breaks lines stays, what would act or hide is shown. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => printable(line, line.length))
    .join('\n')
}

/** Whether what is written there should be in colour: see https://no-color.org. `FORCE_COLOR` wants it anywhere. */
export function wantsColour(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const { NO_COLOR = '', FORCE_COLOR, TERM } = env
  if (NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return stream.isTTY === true && TERM !== 'dumb'
}
