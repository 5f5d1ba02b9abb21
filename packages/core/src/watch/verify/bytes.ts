/** Comparing bytes where they lie, four at a time: what is said of every entry is said without making strings. */

/** A text to compare with: at least four bytes of ASCII. */
export function piece(text: string): DataView {
  return viewOf(new Uint8Array(Buffer.from(text, 'latin1')))
}

export function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length)
}

/** Whether the `length` bytes (four or more) at `at` are those at `otherAt`. Both must lie within their views. */
export function same(view: DataView, at: number, other: DataView, otherAt: number, length: number): boolean {
  const last = length - 4
  for (let index = 0; index < last; index += 4) {
    if (view.getInt32(at + index, true) !== other.getInt32(otherAt + index, true)) return false
  }
  return view.getInt32(at + last, true) === other.getInt32(otherAt + last, true)
}

/** Whether `text` stands at `at`; not, when it would reach over the end. */
export function stands(view: DataView, at: number, text: DataView): boolean {
  return at + text.byteLength <= view.byteLength && same(view, at, text, 0, text.byteLength)
}
