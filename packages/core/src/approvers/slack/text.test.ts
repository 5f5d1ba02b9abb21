import { describe, expect, it } from 'vitest'
import { date, duration, escaped, fenced, inline, person, plain } from './text.ts'

describe('inline', () => {
  it('shows text in one line that Slack does nothing with', () => {
    expect(inline('order-bot', 80)).toBe('`order-bot`')
    expect(inline('<!channel> & <@U1>', 80)).toBe('`&lt;!channel&gt; &amp; &lt;@U1&gt;`')
    expect(inline('a`*b*`c', 80)).toBe("`a'*b*'c`")
    expect(inline(' two\nlines\t', 80)).toBe('`\\u{20}two\\u{a}lines\\u{9}`')
    expect(inline(' '.repeat(90), 10)).toBe('`\\u{20}   …`')
  })

  it('shows what would hide or turn text round', () => {
    expect(inline('pay\u202eecila\u200b\u2066\ufeff\u00ad\u3164', 80)).toBe(
      '`pay\\u{202e}ecila\\u{200b}\\u{2066}\\u{feff}\\u{ad}\\u{3164}`',
    )
    expect(inline('\ud800', 80)).toBe('`\\u{d800}`')
  })

  it('is never empty, and never longer than five times what it may be', () => {
    expect(inline('', 10)).toBe('`-`')
    expect(inline('  ', 20)).toBe('`\\u{20}\\u{20}`')
    for (const one of ['a', '&', '`', '\u202e', '\u{1f600}']) {
      expect(inline(one.repeat(1_000), 40).length).toBeLessThanOrEqual(5 * 40 + 2)
    }
    expect(plain('x'.repeat(50), 10)).toBe(`${'x'.repeat(9)}…`)
    expect(plain('\u{1f600}'.repeat(9), 10).isWellFormed()).toBe(true)
    expect(plain('x'.repeat(10), 10)).toBe('x'.repeat(10))
  })
})

describe('fenced', () => {
  it('keeps lines as they are', () => {
    expect(fenced('{\n  "a": "x < y"\n}', 100)).toEqual({
      text: '```\n{\n  "a": "x &lt; y"\n}\n```',
      whole: true,
    })
  })

  it('can not be ended by what stands in it', () => {
    const { text } = fenced('a``` *b* `` c ` d\n```\n````', 200)
    expect(text.slice(3, -3)).not.toContain('``')
    expect(text).toContain('a\\u{60}\\u{60}\\u{60} *b*')
    expect(text).toContain('c ` d')
  })

  it('fills the room exactly, counts what it was escaped to, and says when something is left out', () => {
    const room = 108
    expect(fenced('x'.repeat(100), room)).toMatchObject({ whole: true })
    expect(fenced('x'.repeat(101), room)).toMatchObject({ whole: false })
    expect(fenced('<'.repeat(25), room)).toMatchObject({ whole: true })
    expect(fenced('<'.repeat(26), room)).toMatchObject({ whole: false })
    expect(fenced('\u202e'.repeat(12), room)).toMatchObject({ whole: true })
    expect(fenced('\u202e'.repeat(13), room)).toMatchObject({ whole: false })
    expect(fenced('\u{1f600}'.repeat(50), room)).toMatchObject({ whole: true })
    expect(fenced('\u{1f600}'.repeat(51), room)).toMatchObject({ whole: false })
    for (const one of ['x', '<', '\u202e', '\u{1f600}', '``']) {
      for (let count = 1; count < 200; count += 7) {
        const { text } = fenced(one.repeat(count), room)
        expect(text.length).toBeLessThanOrEqual(room)
        expect(text).not.toMatch(/&(?!amp;|lt;|gt;)|[\ud800-\udbff](?![\udc00-\udfff])/)
      }
    }
  })

  it('does not look at what is behind the room', () => {
    const large = 'y'.repeat(50_000_000)
    expect(fenced(large, 2_900).whole).toBe(false)
    // Looking at all of it, once, takes longer than that.
  }, 2_000)
})

it('names people of Slack so that their name is shown, and everybody else as they are', () => {
  expect(person('slack:U123')).toBe('<@U123>')
  expect(person('slack:W123')).toBe('<@W123>')
  expect(person('alice')).toBe('`alice`')
  expect(person('slack:U1> <!channel')).toBe('`slack:U1&gt; &lt;!channel`')
})

it('shows times in the zone of whoever reads, and in UTC where that is not known', () => {
  expect(date(new Date(Date.UTC(2026, 0, 2, 3, 4, 5)))).toBe(
    '<!date^1767323045^{date_short_pretty} {time_secs}|2026-01-02 03:04:05 UTC>',
  )
})

it('says how long', () => {
  expect([900_000, 7_200_000, 86_400_000, 90_000, 1_500, 5_400_000].map(duration)).toEqual([
    '15 min',
    '2 h',
    '1 d',
    '90 s',
    '2 s',
    '90 min',
  ])
})

it('escapes what begins markup, once', () => {
  expect(escaped('<a> & &amp;')).toBe('&lt;a&gt; &amp; &amp;amp;')
})
