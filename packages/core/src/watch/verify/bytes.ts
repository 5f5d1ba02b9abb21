/** Comparing bytes where they lie, eight at a time: what is said of every entry is said without making strings. */

/** A text to compare with: at least eight characters of ASCII. */
export function piece(text: string): DataView {
  return viewOf(new Uint8Array(Buffer.from(text, 'latin1')))
}

export function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length)
}

/**
 * Whether the `length` bytes (eight or more) at `at` are those of the text at `textAt`. Both must lie within their views.
 * Eight bytes are compared as a number: those of ASCII, without zeros, are neither NaN nor 0, so only the same are equal.
 */
export function same(view: DataView, at: number, text: DataView, textAt: number, length: number): boolean {
  const last = length - 8
  for (let index = 0; index < last; index += 8) {
    if (view.getFloat64(at + index) !== text.getFloat64(textAt + index)) return false
  }
  return view.getFloat64(at + last) === text.getFloat64(textAt + last)
}

/** Whether `text` stands at `at`; not, when it would reach over the end. */
export function stands(view: DataView, at: number, text: DataView): boolean {
  return at + text.byteLength <= view.byteLength && same(view, at, text, 0, text.byteLength)
}

/** As `same`, of any bytes, four or more. */
export function sameBytes(view: DataView, at: number, other: DataView, otherAt: number, length: number): boolean {
  const last = length - 4
  for (let index = 0; index < last; index += 4) {
    if (view.getInt32(at + index) !== other.getInt32(otherAt + index)) return false
  }
  return view.getInt32(at + last) === other.getInt32(otherAt + last)
}
