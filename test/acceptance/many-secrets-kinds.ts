/** 361 secrets of the kinds that services give out, and texts that are none; the same ones on every run. */

/** Numbers from a seed, for tests that must be the same every time (a multiply-with-carry generator). */
export class Seeded {
  #high: number
  #low: number

  constructor(seed: number) {
    this.#high = seed ^ 0x2545_f491
    this.#low = seed + 0x9e37_79b9
  }

  /** From 0 up to, not including, `below`. */
  below(below: number): number {
    this.#high = Math.imul(36_969, this.#high & 0xffff) + (this.#high >>> 16)
    this.#low = Math.imul(18_000, this.#low & 0xffff) + (this.#low >>> 16)
    return (((this.#high << 16) + (this.#low & 0xffff)) >>> 0) % below
  }

  pick<T>(from: ArrayLike<T>): T {
    return from[this.below(from.length)] as T
  }

  letters(count: number, from: string): string {
    return Array.from({ length: count }, () => this.pick(from)).join('')
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const ALNUM = `${LOWER}ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789`
const HEX = '0123456789abcdef'
const WORDS = [
  'Ölmühle',
  'крепость',
  '密码',
  'naïve',
  'Straße',
  '🔑',
  'ñandú',
  'smørrebrød',
  '東京都',
  'θάλασσα',
  'häßlich',
]

const base64url = (of: object) => Buffer.from(JSON.stringify(of)).toString('base64url')

/** One kind each, made of what a service of that kind uses. */
const KINDS: readonly ((random: Seeded, number: number) => string)[] = [
  (random) => `sk_live_${random.letters(24, ALNUM)}`,
  (random) => `ghp_${random.letters(36, ALNUM)}`,
  (random) => `AKIA${random.letters(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
  (random) =>
    `xoxb-${random.letters(12, '0123456789')}-${random.letters(12, '0123456789')}-${random.letters(24, ALNUM)}`,
  (random, number) =>
    `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: number, iat: 1_700_000_000 + number })}.${random.bytes(32).toString('base64url')}`,
  (random) => [8, 4, 4, 4, 12].map((length) => random.letters(length, HEX)).join('-'),
  (random, number) =>
    `postgres://app:${random.letters(9, ALNUM)}%40${random.letters(3, '!$&+=/?#')}${random.letters(4, ALNUM)}@db-${number}.internal:5432/orders?sslmode=require&x=a+b`,
  (random) =>
    `-----BEGIN PRIVATE KEY-----\n${Array.from({ length: 4 }, () => random.bytes(48).toString('base64')).join('\n')}\n-----END PRIVATE KEY-----\n`,
  (random) => random.bytes(32).toString('base64'),
  (random) => random.bytes(20).toString('hex'),
  (random, number) => `${random.pick(WORDS)} ${random.pick(WORDS)}-${random.pick(WORDS)} ${number}`,
  (random) =>
    `${random.letters(4, ALNUM)}"${random.letters(3, ALNUM)}\\${random.letters(3, ALNUM)}'${random.letters(2, '<>&`')}\t${random.letters(3, ALNUM)}`,
  (random) => random.letters(8, `${ALNUM}!#$%&*+-./:;=?@_~`),
]

export const COUNT = 361

/** By their names. */
export function manySecrets(): ReadonlyMap<string, string> {
  const random = new Seeded(361)
  const secrets = new Map<string, string>()
  for (let number = 0; secrets.size < COUNT; number++) {
    secrets.set(`secret_${number}`, (KINDS[number % KINDS.length] as (typeof KINDS)[number])(random, number))
  }
  return secrets
}

const json = (text: string) => JSON.stringify(text).slice(1, -1)
const lower = (text: string) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
const between = (text: string, before: number, after: number) =>
  Buffer.from(`${'<'.repeat(before)}${text}${'>'.repeat(after)}`)

/** The encodings of the seventh invariant, made with what the platform has. */
export const ENCODINGS: Readonly<Record<string, (text: string) => string>> = {
  verbatim: (text) => text,
  JSON: json,
  'JSON in JSON': (text) => json(json(text)),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex, upper case': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  percent: encodeURIComponent,
  'percent, lower case': (text) => lower(encodeURIComponent(text)),
  'percent, forms': (text) => new URLSearchParams({ '': text }).toString().slice(1),
  ...Object.fromEntries(
    [0, 1, 2].flatMap((before) =>
      (['base64', 'base64url'] as const).map((encoding) => [
        `${encoding} after ${before}`,
        (text: string) => between(text, before, (before * 2) % 3).toString(encoding),
      ]),
    ),
  ),
}

/** What of a form depends on the secret alone: the letters of base64 at both ends say what stands around it. */
export function coreOf(secret: string, encoding: string): string {
  const form = (ENCODINGS[encoding] as (text: string) => string)(secret)
  if (!encoding.startsWith('base64')) return form
  const before = Number(encoding.at(-1))
  return form.slice(Math.ceil((before * 8) / 6), Math.floor(((before + Buffer.byteLength(secret)) * 8) / 6))
}

/** Texts and values without a secret in them, some of which look like one. */
export function cleanOutputs(count: number, secrets: readonly string[]): unknown[] {
  const random = new Seeded(1_500)
  const almost = (secret: string) => {
    const at = 1 + random.below(secret.length - 1)
    return random.below(2) === 0
      ? `${secret.slice(0, at)}${secret.charAt(at) === 'Q' ? 'R' : 'Q'}${secret.slice(at + 1)}`
      : secret.slice(0, Math.max(1, Math.ceil(secret.length / 2) - 1 - random.below(2)))
  }
  const makers: readonly (() => unknown)[] = [
    () =>
      JSON.stringify({
        id: random.below(1e9),
        rows: Array.from({ length: 5 }, () => ({ name: random.letters(8, LOWER), price: random.below(9_999) / 100 })),
      }),
    () => ({
      page: random.below(50),
      items: Array.from({ length: 6 }, (_, at) => ({
        id: `item_${at}`,
        note: random.letters(30, ALNUM),
        tags: [random.letters(4, LOWER), null, true],
      })),
    }),
    () =>
      `<!doctype html><ul>${`<li class="${random.letters(5, LOWER)}">${random.letters(12, ALNUM)} &amp; more</li>`.repeat(4)}</ul>`,
    () =>
      `export const ${random.letters(6, LOWER)} = (x) => x.map(({ ${random.letters(3, LOWER)} }) => \`\${${random.letters(3, LOWER)}}\`)\n// ${random.letters(40, ALNUM)}`,
    () => random.bytes(300 + random.below(300)).toString('base64'),
    () => random.bytes(200).toString('hex'),
    () => `almost: ${almost(random.pick(secrets))}.`,
    () => ({ token: almost(random.pick(secrets)), [almost(random.pick(secrets))]: [almost(random.pick(secrets))] }),
    () => `${encodeURIComponent(almost(random.pick(secrets)))} is none`,
    () => random.letters(400, '0123456789'),
    () => ({
      ids: Array.from({ length: 20 }, () => random.below(1e9) * 1e6),
      big: BigInt(`9${random.letters(30, '0123456789')}`),
    }),
    // Without the stop it would end in most of a passphrase.
    () => `${Array.from({ length: 12 }, () => random.pick(WORDS)).join(' ')}.`,
    () => [
      new Date(random.below(2 ** 31) * 1_000),
      new URL(`https://example.com/${random.letters(9, LOWER)}?q=${random.letters(9, ALNUM)}`),
    ],
    () =>
      `sk_live_ ghp_ AKIA xoxb- -----BEGIN PRIVATE KEY-----\n${random.letters(64, ALNUM)}\n-----END PRIVATE KEY-----`,
  ]
  return Array.from({ length: count }, (_, at) => (makers[at % makers.length] as () => unknown)())
}
