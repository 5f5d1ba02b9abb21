/** What a secret looks like when a tool passes it on: verbatim, and in the encodings that programs commonly write. */

/** Every text that a secret is looked for as. */
export function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret, 'utf8')
  const hex = bytes.toString('hex')
  const forms = new Set([secret, hex, hex.toUpperCase()])
  for (const form of jsonForms(secret)) forms.add(form)
  for (const form of percentForms(secret, bytes)) forms.add(form)
  for (const offset of [0, 1, 2]) {
    const core = base64Core(bytes, offset)
    forms.add(core)
    forms.add(core.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}

/** What serialisers write as `\uXXXX` beside what JSON demands. */
const JSON_ESCAPED = [
  /[^\s\S]/u,
  // All that is not ASCII: Python, PHP.
  /[^\0-\x7f]/u,
  // What a browser might read as markup: Go.
  /[<>&\u2028\u2029]/u,
  // Both, and quotes: .NET.
  /[<>&'"+`]|[^\0-\x7e]/u,
]

/** As the inside of a JSON text, and of a JSON text within a JSON text. */
function* jsonForms(secret: string): Generator<string> {
  const plain = JSON.stringify(secret).slice(1, -1)
  const codes = plain.includes('\\u')
  for (const escaped of JSON_ESCAPED) {
    for (const upper of codes || escaped.test(secret) ? [false, true] : []) {
      const texts = new Map<string, string>()
      for (const char of new Set(secret)) texts.set(char, jsonChar(char, escaped.test(char), upper))
      yield* withSlashes(Array.from(secret, (char) => texts.get(char)).join(''))
    }
  }
  if (!codes) yield* withSlashes(plain)
}

/** Some serialisers escape the slash. */
function* withSlashes(once: string): Generator<string> {
  for (const form of [once, once.replaceAll('/', '\\/')]) {
    yield form
    yield JSON.stringify(form).slice(1, -1)
  }
}

function jsonChar(char: string, escaped: boolean, upper: boolean): string {
  const plain = JSON.stringify(char).slice(1, -1)
  if (!escaped && !/^\\u/.test(plain)) return plain
  let text = ''
  for (let unit = 0; unit < char.length; unit++) {
    const code = char.charCodeAt(unit).toString(16).padStart(4, '0')
    text += `\\u${upper ? code.toUpperCase() : code}`
  }
  return text
}

/** What encoders leave as it is; the rest becomes `%XX`. */
const PERCENT_PLAIN = [
  // RFC 3986, section 2.3.
  /[A-Za-z0-9_.~-]/,
  // `encodeURIComponent`
  /[A-Za-z0-9_.!~*'()-]/,
  // The same in the query of a URL, which encodes the apostrophe as well.
  /[A-Za-z0-9_.!~*()-]/,
  // `URLSearchParams`
  /[A-Za-z0-9_.*-]/,
  // `encodeURI`
  /[A-Za-z0-9_.!~*'();/?:@&=+$,#-]/,
  // `new URL`: in the fragment, the query, the query of http, the path, the user's name and password.
  /[!#-;=?-_a-~]/,
  /[!$-;=?-~]/,
  /[!$-&(-;=?-~]/,
  /[!$-;=@-\]_a-z|~]/,
  /[!$-.0-9A-Z_a-z~]/,
  // Every byte.
  /[^\s\S]/,
]

/** The same, looked up by the byte; made when it is first needed. */
let percentPlain: readonly (readonly boolean[])[] | undefined

function* percentForms(secret: string, bytes: Buffer): Generator<string> {
  percentPlain ??= PERCENT_PLAIN.map((plain) => ALL_BYTES.map((byte) => plain.test(String.fromCharCode(byte))))
  for (const plain of percentPlain) {
    for (const codes of [PERCENT_LOWER, PERCENT_UPPER]) {
      let text = ''
      for (const byte of bytes) text += plain[byte] ? String.fromCharCode(byte) : codes[byte]
      yield text
      if (secret.includes(' ')) yield text.replaceAll('%20', '+')
    }
  }
}

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte)
const PERCENT_LOWER = ALL_BYTES.map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
const PERCENT_UPPER = PERCENT_LOWER.map((code) => code.toUpperCase())

/**
 * The characters of base64 that depend on the secret alone when it starts at a position in the encoded bytes that is
 * `offset` modulo 3; the characters at both ends also depend on the neighbours and are left out (RFC 4648, section 4).
 */
function base64Core(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
  return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
}
