/**
 * The form in which `Chain` writes lines: everything up to the type, and everything from `prev` on, stands at places that
 * are known beforehand. A line of that form is checked as bytes, which is several times as fast as parsing it.
 */
import { hash } from 'node:crypto'
import { piece, same, stands, viewOf } from './bytes.ts'

const TYPE = piece('","type":"')
const PREV = piece('},"prev":"')
const HASH = piece('","hash":"')
/** How long a line is from `prev` on, and from the comma before `hash` on; without the newline. */
const TAIL = ',"prev":"'.length + 64 + '","hash":"'.length + 64 + '"}'.length
const HASH_MEMBER = ',"hash":""}'.length + 64
const TIME = 24
const DIGITS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const ZERO = 48
const NINE = 57
const QUOTE = 34
const COMMA = 44
const BRACE = 125

export class LineForm {
  readonly #writer: string
  /** The head is always of printable ASCII, or there is no form to compare with. */
  readonly #plain: boolean
  #seq = 0
  /** Up to the time: `{"v":1,"id":"<writer>:<seq>","writer":"<writer>","seq":<seq>,"at":"`. */
  #start!: DataView
  /** Where the last digits of the two `seq` stand in it. */
  #first = 0
  #second = 0
  /** Hash of the entry before, and the hash just computed. */
  readonly #prev: Buffer = Buffer.alloc(64)
  readonly #prevView: DataView = viewOf(this.#prev)
  readonly #digest: Buffer = Buffer.alloc(64)
  readonly #digestView: DataView = viewOf(this.#digest)
  /** The last time that was seen: many entries share one. */
  readonly #time: DataView = new DataView(new ArrayBuffer(TIME))

  constructor(writer: string) {
    this.#writer = writer
    this.#plain = /^[\x20-\x7e]+$/.test(writer) && !/["\\]/.test(writer)
  }

  /** Sets which entry comes next. */
  expect(seq: number, prev: string): void {
    this.#seq = seq
    this.#prev.write(prev, 0, 64, 'latin1')
    const start = `{"v":1,"id":"${this.#writer}:${seq}","writer":"${this.#writer}","seq":${seq},"at":"`
    this.#start = piece(start)
    this.#first = start.indexOf('","writer') - 1
    this.#second = start.indexOf(',"at"', this.#first) - 1
  }

  get prev(): string {
    return this.#prev.toString('latin1', 0, 64)
  }

  /** The time of the last entry. */
  get time(): string {
    return Buffer.from(this.#time.buffer).toString('latin1', 0, TIME)
  }

  /** An entry with this time was followed in another way. */
  seen(time: string): void {
    Buffer.from(this.#time.buffer as ArrayBuffer).write(DIGITS.test(time) ? time : '', 0, TIME, 'latin1')
  }

  /**
   * Where the name of the type begins, when the line from `start` up to its newline at `end` is the entry that comes next:
   * of this form, hashed right, and linked to the one before. It is then the one before. `-1` otherwise; nothing has
   * changed then.
   */
  follow(bytes: Buffer, view: DataView, start: number, end: number): number {
    const at = start + this.#start.byteLength
    const tail = end - TAIL
    if (!this.#plain || at + TIME + TYPE.byteLength >= tail) return -1
    if (!stands(view, start, this.#start) || !stands(view, at + TIME, TYPE)) return -1
    if (!same(view, at, this.#time, 0, TIME) && !this.#isTime(bytes, view, at)) return -1
    if (!stands(view, tail - 1, PREV) || !stands(view, tail + 73, HASH)) return -1
    if (bytes[end - 2] !== QUOTE || bytes[end - 1] !== BRACE) return -1
    if (!same(view, tail + 9, this.#prevView, 0, 64)) return -1
    // The hash is that of the line without its hash member: for a moment, the line ends there.
    const cut = end - HASH_MEMBER
    bytes[cut] = BRACE
    const digest = hash('sha256', new Uint8Array(bytes.buffer, bytes.byteOffset + start, cut + 1 - start), 'hex')
    bytes[cut] = COMMA
    this.#digest.write(digest, 0, 64, 'latin1')
    if (!same(view, end - 66, this.#digestView, 0, 64)) return -1
    for (let index = 0; index < 64; index += 4) this.#prevView.setInt32(index, this.#digestView.getInt32(index))
    this.#advance()
    return at + TIME + TYPE.byteLength
  }

  #isTime(bytes: Buffer, view: DataView, at: number): boolean {
    const text = bytes.toString('latin1', at, at + TIME)
    if (!DIGITS.test(text)) return false
    for (let index = 0; index < TIME; index += 4) this.#time.setInt32(index, view.getInt32(at + index))
    return true
  }

  /** Counts both `seq` on, in place. */
  #advance(): void {
    this.#seq++
    const start = this.#start
    for (let back = 0; ; back++) {
      const digit = start.getUint8(this.#first - back)
      if (digit === NINE) {
        start.setUint8(this.#first - back, ZERO)
        start.setUint8(this.#second - back, ZERO)
      } else if (digit < ZERO || digit > NINE) {
        // One digit more.
        this.expect(this.#seq, this.prev)
        return
      } else {
        start.setUint8(this.#first - back, digit + 1)
        start.setUint8(this.#second - back, digit + 1)
        return
      }
    }
  }
}
