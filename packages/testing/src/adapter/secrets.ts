/** What a tool reveals for its own use reaches neither the model nor the trail. */
import { currentCall, type Entry } from '@haldir/core'
import { expect } from 'vitest'
import { type AdapterDriver, type ToolBody, way } from './driver.ts'
import { bodyOf, type Cases, expectDenial, type House, house } from './house.ts'

const SECRET = 'sk_live_secret-canary/9f8e+7d6c=5b4a'

/** Every way the secret could still be read. */
const FORMS = [
  SECRET,
  encodeURIComponent(SECRET),
  Buffer.from(SECRET).toString('base64'),
  Buffer.from(SECRET).toString('base64url'),
  Buffer.from(SECRET).toString('hex'),
]

const RULE = { name: 'leaks', scope: 'read', secrets: ['key'] }

async function opened(): Promise<House> {
  const home = house()
  await home.haldir.vault.put('key', SECRET, { scope: 'read' })
  return home
}

/** Drives one call of a tool with this body; answers everything that could be read of it anywhere. */
async function leaks(driver: AdapterDriver, home: House, body: ToolBody): Promise<{ read: string; anywhere: string }> {
  const session = await home.newSession('read')
  const tool = driver.wrap(driver.build(body), RULE, { session })
  const { answers, everything } = await driver.loop({ leaks: tool }, [{ tool: 'leaks', args: {} }])
  await home.haldir.flush()
  return { read: answers[0]?.read as string, anywhere: everything + home.sink.lines.join('\n') }
}

function expectClean(text: string): void {
  for (const form of FORMS) expect(text).not.toContain(form)
}

const reveal = () => currentCall().secret('key').reveal()

export const secrets: Cases = {
  'a secret does not leave in a result': async (driver) => {
    await using home = await opened()
    let used = ''
    const body = bodyOf('leaks', () => {
      used = reveal()
      const [, percent, base64, base64url, hex] = FORMS
      return {
        said: `Bearer ${used}`,
        deep: [{ percent, base64 }, { [`key ${used}`]: [base64url, hex] }],
        rest: 'fine',
      }
    })
    const { read, anywhere } = await leaks(driver, home, body)
    expect(used).toBe(SECRET)
    expectClean(anywhere)
    expect(read).toContain('[redacted:key]')
    expect(read).toContain('fine')
    expect(await home.entries({ type: 'secret-read' })).toHaveLength(1)
  },

  'a secret does not leave in an error, nor in its causes': async (driver) => {
    await using home = await opened()
    const body = bodyOf('leaks', () => {
      const cause = new Error(`deep ${reveal()}`, { cause: { header: `Bearer ${SECRET}` } })
      throw Object.assign(new TypeError(`failed with ${SECRET}`, { cause }), { request: { key: SECRET } })
    })
    const { read, anywhere } = await leaks(driver, home, body)
    expectClean(anywhere)
    expect(read).toContain('failed with [redacted:key]')
  },

  'a secret does not leave in items, nor split over them': async (driver) => {
    await using home = await opened()
    const session = await home.newSession('read')
    const body: ToolBody = {
      name: 'leaks',
      description: 'leaks in pieces',
      async *items() {
        const secret = reveal()
        yield { header: secret }
        yield `starts ${secret.slice(0, 9)}`
        yield secret.slice(9)
        yield 'ends'
      },
    }
    const tool = driver.wrap(driver.build(body), RULE, { session })
    const got: unknown[] = []
    for await (const item of way(driver, 'stream')({ leaks: tool }, { tool: 'leaks', args: {} })) got.push(item)
    expectClean(JSON.stringify(got))
    expectClean(got.filter((item) => typeof item === 'string').join(''))
    expect(got[0]).toEqual({ header: '[redacted:key]' })
    expect(got.at(-1)).toBe('ends')
    expectClean(home.sink.lines.join('\n'))
  },

  'a secret that was revealed once leaves in no later call of the session': async (driver) => {
    await using home = await opened()
    const session = await home.newSession('read')
    const use = bodyOf('uses', () => void reveal())
    const uses = driver.wrap(driver.build(use), { ...RULE, name: 'uses' }, { session })
    const echo = bodyOf('echoes', `here it is: ${SECRET}`)
    const echoes = driver.wrap(driver.build(echo), { name: 'echoes', scope: 'read' }, { session })
    await driver.loop({ uses }, [{ tool: 'uses', args: {} }])
    expect(use.got).toHaveLength(1)
    const { answers, everything } = await driver.loop({ echoes }, [{ tool: 'echoes', args: {} }])
    expectClean(everything)
    expect(answers[0]?.read).toContain('here it is: [redacted:key]')
  },

  'what a tool names of its arguments is on record as it is named, and nothing else of them': async (driver) => {
    await using home = house()
    const session = await home.newSession('read')
    const body = { ...bodyOf('transfers', 'sent'), takesAmount: true }
    const subject = ({ amount }: { amount: number }) => `customer ${amount}`
    const record = { fingerprint: ['amount'], seal: ['amount'], subject }
    const tool = driver.wrap(driver.build(body), { name: 'transfers', scope: 'read', record }, { session })
    const amount = 40_077_001
    await driver.loop({ transfers: tool }, [{ tool: 'transfers', args: { amount } }])
    expect(body.got).toEqual([{ amount }])
    const { trail } = home.haldir
    const [intent, ...others] = await home.entries({ fingerprint: await trail.fingerprint('default', amount) })
    expect(others).toEqual([])
    expect(intent).toMatchObject({ type: 'intent', tool: 'transfers' })
    expect(await trail.reveal(intent as Entry)).toEqual({ erased: false, values: { amount } })
    expect(home.sink.lines.join('\n')).not.toContain(String(amount))
    expect((await trail.erase({ tenant: 'default', subject: `customer ${amount}` })).erased).toBe(true)
    expect((await trail.reveal(intent as Entry)).erased).toBe(true)
  },

  'a secret that the tool does not name is not available': async (driver) => {
    await using home = await opened()
    const session = await home.newSession('read')
    const body = bodyOf('curious', reveal)
    const tool = driver.wrap(driver.build(body), { name: 'curious', scope: 'read' }, { session })
    const { answers, everything } = await driver.loop({ curious: tool }, [{ tool: 'curious', args: {} }])
    expectDenial(answers[0]!, 'secret-unavailable')
    expectClean(everything)
  },

  'a secret that the session may not use stops the call before it runs': async (driver) => {
    await using home = house()
    await home.haldir.vault.put('key', SECRET, { scope: 'payments' })
    const session = await home.newSession('read')
    const body = bodyOf('leaks', reveal)
    const tool = driver.wrap(driver.build(body), RULE, { session })
    const { answers } = await driver.loop({ leaks: tool }, [{ tool: 'leaks', args: {} }])
    expectDenial(answers[0]!, 'secret-unavailable')
    expect(body.got).toEqual([])
  },
}
