import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeClock } from '@haldir/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import type { Policy } from './gate/policy/policy.ts'
import { type PolicyWatch, type WatchOptions, watchPolicy } from './policy-watch.ts'

let folder: string
let file: string
let watch: PolicyWatch | undefined
let names: (string | undefined)[]
let errors: unknown[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-watch-'))
  file = join(folder, 'policy.yaml')
  names = []
  errors = []
})

afterEach(() => {
  watch?.stop()
  watch = undefined
  rmSync(folder, { recursive: true })
})

const textOf = (name: string) => `name: ${name}\ndefault: deny\nrules: []\n`
const policyOf = (name: string): Policy => ({ name, default: 'deny', rules: [] })

function start(
  options: WatchOptions = {},
  onPolicy = ({ name }: Policy): void | Promise<void> => void names.push(name),
): PolicyWatch {
  watch = watchPolicy(file, onPolicy, { every: '10m', onError: (error) => errors.push(error), ...options })
  return watch
}

describe('an edition', () => {
  it('is handed over first, and then when it says something new', async () => {
    writeFileSync(file, textOf('one'))
    start()
    expect(await watch?.reload()).toBe(true)
    expect(await watch?.reload()).toBe(false)
    writeFileSync(file, `# the same in other words\n${textOf('"one"')}`)
    expect(await watch?.reload()).toBe(false)
    writeFileSync(file, textOf('two'))
    expect(await watch?.reload()).toBe(true)
    expect(names).toEqual(['one', 'two'])
    expect(errors).toEqual([])
  })

  it('is not handed over if it is in force already', async () => {
    writeFileSync(file, textOf('one'))
    start({ current: policyOf('one') })
    expect(await watch?.reload()).toBe(false)
    writeFileSync(file, textOf('two'))
    expect(await watch?.reload()).toBe(true)
    expect(names).toEqual(['two'])
  })

  it('is handed over without being asked for, if it was written before the watch began', async () => {
    writeFileSync(file, textOf('two'))
    const arrived = new Promise<string | undefined>((resolve) =>
      start({ current: policyOf('one') }, ({ name }) => resolve(name)),
    )
    expect(await arrived).toBe('two')
  })

  it('that is not sound leaves the last one in force', async () => {
    writeFileSync(file, textOf('one'))
    start()
    await watch?.reload()
    for (const broken of ['default: deny\n', 'default: [\n', '', `${textOf('x')}rule: []\n`]) {
      writeFileSync(file, broken)
      expect(await watch?.reload()).toBe(false)
    }
    expect(errors).toHaveLength(4)
    for (const error of errors) expect(error).toMatchObject({ code: 'invalid-policy' })
    writeFileSync(file, textOf('one'))
    expect(await watch?.reload()).toBe(false)
    expect(names).toEqual(['one'])
  })

  it('that is gone leaves the last one in force', async () => {
    writeFileSync(file, textOf('one'))
    start()
    await watch?.reload()
    rmSync(file)
    expect(await watch?.reload()).toBe(false)
    expect(errors).toMatchObject([{ code: 'invalid-option', path: 'path' }])
    expect(names).toEqual(['one'])
  })

  it('is found behind a link that was turned, and in a file that took the place of another', async () => {
    for (const name of ['one', 'two']) writeFileSync(join(folder, name), textOf(name))
    symlinkSync('one', file)
    start()
    await watch?.reload()
    symlinkSync('two', `${file}.new`)
    renameSync(`${file}.new`, file)
    expect(await watch?.reload()).toBe(true)
    writeFileSync(`${file}.new`, textOf('three'))
    renameSync(`${file}.new`, file)
    expect(await watch?.reload()).toBe(true)
    expect(names).toEqual(['one', 'two', 'three'])
  })

  it('that could not be put in force is tried again', async () => {
    writeFileSync(file, textOf('one'))
    let refuse = true
    start({}, async ({ name }) => {
      if (refuse) throw new Error('not now')
      names.push(name)
    })
    expect(await watch?.reload()).toBe(false)
    expect(errors).toMatchObject([{ message: 'not now' }])
    refuse = false
    expect(await watch?.reload()).toBe(true)
    expect(names).toEqual(['one'])
  })

  it('is handed over one after the other', async () => {
    writeFileSync(file, textOf('one'))
    const release: (() => void)[] = []
    let running = 0
    start({}, async ({ name }) => {
      expect(++running).toBe(1)
      await new Promise<void>((resolve) => release.push(resolve))
      running--
      names.push(name)
    })
    const first = watch?.reload()
    while (release.length === 0) await new Promise((resolve) => setImmediate(resolve))
    writeFileSync(file, textOf('two'))
    const [second, third] = [watch?.reload(), watch?.reload()]
    expect(second).toBe(third)
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(release).toHaveLength(1)
    release[0]?.()
    expect(await first).toBe(true)
    while (release.length === 1) await new Promise((resolve) => setImmediate(resolve))
    release[1]?.()
    expect(await second).toBe(true)
    expect(names).toEqual(['one', 'two'])
  })
})

describe('stop', () => {
  it('ends the watch, also for an edition that is being read', async () => {
    writeFileSync(file, textOf('one'))
    const reading = start().reload()
    watch?.stop()
    expect(await reading).toBe(false)
    expect(await watch?.reload()).toBe(false)
    expect([names, errors]).toEqual([[], []])
  })

  it('leaves no timer behind', async () => {
    const clock = fakeClock()
    await start({ clock }).reload()
    expect(clock.timers).toBe(1)
    watch?.stop()
    expect(clock.timers).toBe(0)
  })

  it('drops what is being read', async () => {
    for (const text of [textOf('one'), 'default: [']) {
      writeFileSync(file, text)
      const reading = start().reload()
      // It has begun, and the file system has not answered yet.
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
      watch?.stop()
      expect(await reading).toBe(false)
    }
    expect([names, errors]).toEqual([[], []])
  })
})

describe('a file that changes', () => {
  const clock = fakeClock()

  /** Waits until the watch has looked, and again has a time at which it will look next. */
  const armed = async () => {
    while (clock.timers === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const after = async (ms: number) => {
    await armed()
    await clock.advance(ms)
    await armed()
  }
  /** A whole interval, and the moment for which a file must stay as it is. */
  const next = async () => {
    await after(600_000)
    await after(100)
  }

  it('is loaded once it has stayed the same for a moment', async () => {
    writeFileSync(file, textOf('one'))
    await start({ clock }).reload()
    await after(599_900)
    writeFileSync(file, textOf('half'))
    await after(100)
    writeFileSync(file, textOf('whole'))
    await after(100)
    expect(names).toEqual(['one'])
    await after(100)
    expect(names).toEqual(['one', 'whole'])
    await next()
    expect(names).toEqual(['one', 'whole'])
    expect(errors).toEqual([])
  })

  it('for the worse is told once, until it changes again', async () => {
    writeFileSync(file, textOf('one'))
    await start({ clock }).reload()
    writeFileSync(file, 'default: [')
    for (let times = 0; times < 3; times++) await next()
    expect(errors).toHaveLength(1)
    rmSync(file)
    for (let times = 0; times < 3; times++) await next()
    expect(errors).toHaveLength(2)
    writeFileSync(file, textOf('two'))
    await next()
    expect(names).toEqual(['one', 'two'])
    expect(errors).toHaveLength(2)
  })

  it('is offered again until it can be put in force', async () => {
    writeFileSync(file, textOf('one'))
    let failures = 2
    const onPolicy = ({ name }: Policy) => {
      if (failures-- > 0) throw new Error('not now')
      names.push(name)
    }
    expect(await start({ clock }, onPolicy).reload()).toBe(false)
    await next()
    expect([names, errors]).toMatchObject([[], [{ message: 'not now' }, { message: 'not now' }]])
    await next()
    expect(names).toEqual(['one'])
  })
})

describe('what is wrong', () => {
  it.each<[string, () => unknown]>([
    ['an option', () => watchPolicy(file, () => {}, { evry: '1s' } as object)],
    ['an interval', () => watchPolicy(file, () => {}, { every: 'often' })],
    ['a path', () => watchPolicy('', () => {})],
    ['no function', () => watchPolicy(file, undefined as never)],
    ['a policy in force that is none', () => watchPolicy(file, () => {}, { current: {} as Policy })],
  ])('is refused at once: %s', (_, begin) => {
    expect(begin).toThrow(ConfigError)
  })

  it('is a warning where nobody listens, and a listener that fails is not heard', async () => {
    writeFileSync(file, 'default: no\nrules: []\n')
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    watch = watchPolicy(file, () => {})
    expect(await watch.reload()).toBe(false)
    expect((await warned).message).toMatch(
      /^the policy was not reloaded, and the last one stays: line 1, column 1 of the policy: /,
    )
    watch.stop()
    start({
      onError: () => {
        throw new Error('x')
      },
    })
    expect(await watch.reload()).toBe(false)
  })
})
