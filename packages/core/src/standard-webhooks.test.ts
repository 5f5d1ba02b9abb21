import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ConfigError } from './errors.ts'
import { checkSigned, parseSecret, signedHeaders } from './standard-webhooks.ts'

const NEW = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const OLD = `whsec_${Buffer.alloc(24, 2).toString('base64')}`
const NOW = Date.UTC(2026, 0, 1, 12)
const body = JSON.stringify({ type: 'approval.requested', data: { note: 'Zoë 🧾 \u2028' } })
const secrets = (...texts: string[]) => texts.map((text, index) => parseSecret(text, `secrets.${index}`))
const bytes = Buffer.from(body)

afterEach(() => {
  vi.useRealTimers()
})

describe('beside the package `standardwebhooks`', () => {
  it('what is signed here is verified there, with the new secret and with the old', () => {
    vi.useFakeTimers({ now: NOW, toFake: ['Date'] })
    const headers = signedHeaders(secrets(NEW, OLD), { id: 'msg_1', body }, NOW)
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2)
    for (const secret of [NEW, OLD]) {
      expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
      expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow('No matching signature')
    }
    const stranger = new Webhook(`whsec_${Buffer.alloc(32, 3).toString('base64')}`)
    expect(() => stranger.verify(body, headers)).toThrow('No matching signature')
  })

  it.each([NEW, OLD])('what is signed there is verified here', (secret) => {
    const signature = new Webhook(secret).sign('msg_2', new Date(NOW), body)
    const headers = { 'webhook-id': 'msg_2', 'webhook-timestamp': String(NOW / 1_000), 'webhook-signature': signature }
    expect(checkSigned(secrets(NEW, OLD), new Headers(headers), bytes, NOW)).toMatchObject({ ok: true })
    expect(checkSigned(secrets(NEW, OLD), new Headers(headers), Buffer.from(`${body} `), NOW)).toMatchObject({
      ok: false,
    })
  })

  it('says the same as there of every second around the limit', () => {
    for (const apart of [-302, -301, -300, -299, 0, 299, 300, 301, 302]) {
      for (const part of [0, 400, 999]) {
        const now = NOW + part
        vi.useFakeTimers({ now, toFake: ['Date'] })
        const headers = signedHeaders(secrets(NEW), { id: 'msg_3', body }, NOW + apart * 1_000)
        const theirs = (() => {
          try {
            new Webhook(NEW).verify(body, headers)
            return true
          } catch {
            return false
          }
        })()
        const { ok } = checkSigned(secrets(NEW), new Headers(headers), bytes, now)
        expect({ apart, part, ok }).toEqual({ apart, part, ok: theirs })
        expect(ok).toBe(Math.abs(apart) <= 300)
      }
    }
  })
})

describe('Ed25519', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d as string, 'base64url')
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')
  const text = `whsk_${Buffer.concat([seed, point]).toString('base64')}`

  it('signs as `v1a` what the public key verifies', () => {
    const headers = signedHeaders(secrets(NEW, text), { id: 'msg_4', body }, NOW)
    const [, second = ''] = (headers['webhook-signature'] as string).split(' ')
    expect(second.startsWith('v1a,')).toBe(true)
    const content = Buffer.from(`msg_4.${NOW / 1_000}.${body}`)
    expect(verify(null, content, publicKey, Buffer.from(second.slice(4), 'base64'))).toBe(true)
    expect(checkSigned(secrets(text), new Headers(headers), bytes, NOW)).toMatchObject({ ok: true })
    // The seed alone is the same key.
    const alone = secrets(`whsk_${seed.toString('base64')}`)
    expect(signedHeaders(alone, { id: 'msg_4', body }, NOW)['webhook-signature']).toBe(second)
  })

  it('is no HMAC: neither stands in for the other', () => {
    const headers = new Headers(signedHeaders(secrets(text), { id: 'msg_5', body }, NOW))
    expect(checkSigned(secrets(NEW), headers, bytes, NOW)).toMatchObject({ ok: false })
    headers.set('webhook-signature', (headers.get('webhook-signature') as string).replace('v1a,', 'v1,'))
    expect(checkSigned(secrets(text), headers, bytes, NOW)).toMatchObject({ ok: false })
  })

  it('refuses two halves that are not one key, and a key that can not sign', () => {
    const other = createPublicKey(
      createPrivateKey({ key: generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), format: 'jwk' }),
    )
    const wrong = Buffer.concat([seed, Buffer.from(other.export({ format: 'jwk' }).x as string, 'base64url')])
    for (const bad of [`whsk_${wrong.toString('base64')}`, `whpk_${point.toString('base64')}`]) {
      expect(() => parseSecret(bad, 'secrets.0')).toThrow(ConfigError)
    }
  })
})

describe('what does not count', () => {
  const signed = () => new Headers(signedHeaders(secrets(NEW), { id: 'msg_6', body }, NOW))
  const check = (headers: Headers, of: Uint8Array = bytes) => checkSigned(secrets(NEW), headers, of, NOW)

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('a message without `%s`', (name) => {
    const headers = signed()
    headers.delete(name)
    expect(check(headers)).toEqual({ ok: false, why: 'the message is not signed' })
  })

  it.each(['', '0', '1e9', '0x10', '-1', '1767268800.5', 'NaN', '99999999999999999999', '1767268800, 1767268800'])(
    'a time such as `%s`',
    (time) => {
      const headers = signed()
      headers.set('webhook-timestamp', time)
      expect(check(headers).ok).toBe(false)
    },
  )

  it('any one byte of body, id, time or signature changed', () => {
    expect(check(signed()).ok).toBe(true)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      expect(check(signed(), changed).ok).toBe(false)
    }
    for (const [name, value] of [
      ['webhook-id', 'msg_7'],
      ['webhook-timestamp', String(NOW / 1_000 + 1)],
    ] as const) {
      const headers = signed()
      headers.set(name, value)
      expect(check(headers).ok).toBe(false)
    }
  })

  it('an id with a dot: where it ends would be anybody’s guess', () => {
    const headers = new Headers(signedHeaders(secrets(NEW), { id: 'msg.1', body }, NOW))
    expect(check(headers).ok).toBe(false)
  })

  it.each(['v1', 'v1,', 'v2,', 'v1,@@@', ',', ' ', 'v1,AAAA v1,BBBB'])('a signature such as `%s`', (signature) => {
    const headers = signed()
    headers.set('webhook-signature', signature)
    expect(check(headers).ok).toBe(false)
  })

  it('a right signature behind more wrong ones than anybody sends', () => {
    const headers = signed()
    const right = headers.get('webhook-signature')
    headers.set('webhook-signature', `${'v1,AAAA '.repeat(15)}${right}`)
    expect(check(headers).ok).toBe(true)
    headers.set('webhook-signature', `${'v1,AAAA '.repeat(16)}${right}`)
    expect(check(headers).ok).toBe(false)
  })
})

it('a message is known again whatever else it was signed with', () => {
  const mark = (headers: Headers) => (checkSigned(secrets(NEW, OLD), headers, bytes, NOW) as { mark: string }).mark
  const one = new Headers(signedHeaders(secrets(NEW, OLD), { id: 'msg_8', body }, NOW))
  const other = new Headers(signedHeaders(secrets(OLD), { id: 'msg_8', body }, NOW))
  other.set('webhook-signature', `v9,x ${other.get('webhook-signature')}`)
  expect(mark(one)).toBe(mark(other))
  expect(mark(one)).not.toBe(mark(new Headers(signedHeaders(secrets(NEW), { id: 'msg_8', body }, NOW + 1_000))))
})

describe('a secret', () => {
  it.each([
    undefined,
    42,
    '',
    'whsec_',
    Buffer.alloc(32).toString('base64'),
    `whsec_${Buffer.alloc(23, 1).toString('base64')}`,
    `whsec_${Buffer.alloc(65, 1).toString('base64')}`,
    `whsec_${Buffer.alloc(32, 1).toString('base64')} `,
    'whsec_a passphrase of more than 24 bytes',
    `whsk_${Buffer.alloc(31, 1).toString('base64')}`,
    `WHSEC_${Buffer.alloc(32, 1).toString('base64')}`,
  ])('such as %j is refused, and not repeated', (text) => {
    try {
      parseSecret(text, 'secrets.3')
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-option', path: 'secrets.3' })
      expect((error as Error).message.startsWith('`secrets.3` is `whsec_` with 24 to 64 bytes')).toBe(true)
      if (String(text).length > 8) expect(inspect(error)).not.toContain(String(text).slice(6))
    }
  })

  it('makes keys for other purposes that sign nothing', () => {
    for (const text of [NEW, `whsk_${Buffer.alloc(32, 5).toString('base64')}`]) {
      const [secret] = secrets(text)
      expect(secret?.derive('links')).toHaveLength(32)
      expect(secret?.derive('links')).toEqual(secret?.derive('links'))
      expect(secret?.derive('links')).not.toEqual(secret?.derive('others'))
      expect(inspect(secret, { depth: 9, showHidden: true })).not.toContain(text.slice(6, 20))
    }
  })
})
