import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Signatures } from './signature.ts'

/** The example that Slack publishes with its description of signatures. */
const PUBLISHED = {
  secret: '8f742231b10e8888abcd99yyyzzz85a5',
  time: 1531420618,
  body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
}
const { secret, time, body, signature } = PUBLISHED
const NOW = time * 1_000
const bytes = (text: string) => new TextEncoder().encode(text)
const sign = (text: string, at: number | string) =>
  `v0=${createHmac('sha256', secret).update(`v0:${at}:${text}`).digest('hex')}`
const headers = (at: number | string, by: string, more: Record<string, string> = {}) =>
  new Headers({ 'X-Slack-Request-Timestamp': String(at), 'X-Slack-Signature': by, ...more })

describe("Slack's published example", () => {
  it('is taken as it is', () => {
    expect(new Signatures(secret).check(headers(time, signature), bytes(body), NOW)).toEqual({ again: false })
  })

  it.each([
    ['another secret', 'x'.repeat(32), time, body, signature],
    ['a byte of the body', secret, time, body.replace('foobar', 'foobaz'), signature],
    ['a byte more', secret, time, `${body}&`, signature],
    ['the time', secret, time + 1, body, signature],
    ['a digit of the signature', secret, time, body, signature.replace(/3$/, '4')],
    ['another version', secret, time, body, signature.replace('v0', 'v1')],
    ['no version', secret, time, body, signature.slice(3)],
    ['capitals', secret, time, body, signature.toUpperCase()],
    ['a shorter signature', secret, time, body, signature.slice(0, -2)],
    ['an empty signature', secret, time, body, ''],
  ])('is refused with %s changed', (_, by, at, text, sent) => {
    expect(new Signatures(by).check(headers(at, sent), bytes(text), NOW)).toMatchObject({ status: 401 })
  })

  it('is refused without its headers', () => {
    expect(new Signatures(secret).check(new Headers(), bytes(body), NOW)).toMatchObject({ status: 401 })
  })
})

describe('its time', () => {
  it.each([-300_000, -299_999, 0, 300_000])('may be %i ms away', (away) => {
    expect(new Signatures(secret).check(headers(time, signature), bytes(body), NOW + away)).toEqual({ again: false })
  })

  it.each([-300_001, 300_001, 86_400_000, -86_400_000, Number.NaN, Number.POSITIVE_INFINITY])(
    'may not be %d ms away',
    (away) => {
      const told = new Signatures(secret).check(headers(time, signature), bytes(body), NOW + away)
      expect(told).toMatchObject({ status: 401 })
    },
  )

  it.each(['1531420618.0', '+1531420618', ' 0x5b47', '1.531420618e9', '01531420618', '-1531420618', '', '٣'])(
    'is a whole number, so not %j',
    (at) => {
      const sent = new Headers()
      // Some of these can't be sent at all; what can is signed as it stands.
      try {
        sent.set('x-slack-request-timestamp', at)
      } catch {}
      sent.set('x-slack-signature', sign(body, at))
      expect(new Signatures(secret).check(sent, bytes(body), NOW)).toMatchObject({ status: 401 })
    },
  )
})

describe('what came before', () => {
  it('is refused when it is replayed, as long as its time is taken', () => {
    const signatures = new Signatures(secret)
    const check = (now: number) => signatures.check(headers(time, signature), bytes(body), now)
    expect(check(NOW - 300_000)).toEqual({ again: false })
    for (const now of [NOW, NOW + 1, NOW + 300_000]) {
      expect(check(now)).toMatchObject({ status: 401, why: expect.stringContaining('before') })
    }
  })

  it('is known again when Slack repeats it, also signed anew', () => {
    const signatures = new Signatures(secret)
    expect(signatures.check(headers(time, signature), bytes(body), NOW)).toEqual({ again: false })
    const retry = { 'X-Slack-Retry-Num': '1' }
    expect(signatures.check(headers(time, signature, retry), bytes(body), NOW + 1_000)).toEqual({ again: true })
    const later = time + 300
    expect(signatures.check(headers(later, sign(body, later), retry), bytes(body), NOW + 300_000)).toEqual({
      again: true,
    })
    expect(signatures.check(headers(later, sign(body, later)), bytes(body), NOW + 300_000)).toEqual({ again: true })
  })

  it('counts when it is the first that arrives of several', () => {
    const retry = headers(time, signature, { 'X-Slack-Retry-Num': '1' })
    expect(new Signatures(secret).check(retry, bytes(body), NOW)).toEqual({ again: false })
  })

  it('is not remembered when its signature was wrong: nobody can use up what Slack will send', () => {
    const signatures = new Signatures(secret)
    expect(signatures.check(headers(time, sign('other', time)), bytes(body), NOW)).toMatchObject({ status: 401 })
    expect(signatures.check(headers(time, signature), bytes(body), NOW)).toEqual({ again: false })
  })

  it('is refused too when the clock is set back after it was forgotten', () => {
    const signatures = new Signatures(secret)
    expect(signatures.check(headers(time, signature), bytes(body), NOW)).toEqual({ again: false })
    const later = time + 10_000
    expect(signatures.check(headers(later, sign('b', later)), bytes('b'), later * 1_000)).toEqual({ again: false })
    expect(signatures.check(headers(time, signature), bytes(body), NOW)).toMatchObject({ status: 401 })
  })

  it('is kept for so many requests and no more; what comes then is refused, not forgotten', () => {
    const signatures = new Signatures(secret)
    const send = (text: string, at: number) => signatures.check(headers(at, sign(text, at)), bytes(text), at * 1_000)
    for (let count = 0; count < 10_000; count++) send(`n=${count}`, time)
    expect(send('one more', time)).toMatchObject({ status: 503 })
    expect(send('n=0', time)).toMatchObject({ status: 401 })
    expect(send('later', time + 601)).toEqual({ again: false })
  })
})
