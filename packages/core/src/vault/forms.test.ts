import { expect, test } from 'vitest'
import { formsOf } from './forms.ts'

/** Of every class that some serialiser escapes and another leaves: not ASCII, markup, quotes, a slash, a control, DEL. */
const SECRET = 'é"<\'/\u0001\u007f'

test.each([
  ['verbatim', SECRET],
  ['JSON', 'é\\"<\'/\\u0001\u007f'],
  ['JSON with escaped slashes', 'é\\"<\'\\/\\u0001\u007f'],
  ['JSON in ASCII', '\\u00e9\\"<\'/\\u0001\u007f'],
  ['JSON in ASCII, upper case', '\\u00E9\\"<\'/\\u0001\u007f'],
  ['JSON without markup', 'é\\"\\u003c\'/\\u0001\u007f'],
  ['JSON without markup, upper case', 'é\\"\\u003C\'/\\u0001\u007f'],
  ['JSON without markup and quotes in ASCII', '\\u00e9\\u0022\\u003c\\u0027/\\u0001\\u007f'],
  ['the same, upper case', '\\u00E9\\u0022\\u003C\\u0027/\\u0001\\u007F'],
  ['JSON in JSON', 'é\\\\\\"<\'/\\\\u0001\u007f'],
  ['hex', Buffer.from(SECRET).toString('hex')],
  ['hex, upper case', Buffer.from(SECRET).toString('hex').toUpperCase()],
  ['percent', '%C3%A9%22%3C%27%2F%01%7F'],
  ['percent, lower case', '%c3%a9%22%3c%27%2f%01%7f'],
  ['encodeURIComponent', encodeURIComponent(SECRET)],
  ['encodeURI', encodeURI(SECRET)],
  ['URLSearchParams', String(new URLSearchParams({ a: SECRET })).slice(2)],
  ['the query of a URL', new URL(`https://a.b/?${SECRET}`).search.slice(1)],
  ['the path of a URL', new URL(`https://a.b/x${SECRET}`).pathname.slice(2)],
  ['the fragment of a URL', new URL(`https://a.b/#${SECRET}`).hash.slice(1)],
  ['every byte in percent', [...Buffer.from(SECRET)].map((one) => `%${one.toString(16).padStart(2, '0')}`).join('')],
])('a secret is looked for as %s', (_, form) => {
  expect([...formsOf(SECRET)]).toContain(form)
})

test.each([0, 1, 2])('what base64 makes of it alone is looked for, %i bytes into a text', (offset) => {
  const secret = 'sk?live>~~éé-01'
  const around = Buffer.from(`${'.'.repeat(offset)}${secret}...`)
  const forms = [...formsOf(secret)]
  for (const encoding of ['base64', 'base64url'] as const) {
    const text = around.toString(encoding)
    const found = forms.filter((form) => form.length > 8 && text.includes(form))
    expect(Math.max(...found.map(({ length }) => length))).toBeGreaterThanOrEqual(
      Math.floor((Buffer.byteLength(secret) * 8) / 6) - 1,
    )
  }
})
