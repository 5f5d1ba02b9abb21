import { type FakeClock, fakeClock } from '@haldir/testing'
import { describe, expect, it, vi } from 'vitest'
import { ConfigError } from '../errors.ts'
import {
  askGuard,
  checkGuards,
  type Guard,
  type GuardAnswer,
  type GuardCall,
  type GuardFunction,
  type NamedGuard,
  type PolicyClient,
  policyGuard,
} from './guards.ts'

const CALL: GuardCall = {
  tool: {
    name: 'refund',
    framework: 'test',
    readOnly: false,
    destructive: true,
    idempotent: false,
    openWorld: true,
    labels: {},
  },
  args: { amount: 5 },
  session: { id: 's', agent: 'bot', tenant: 'acme', scopes: [], attributes: {}, depth: 0 },
  verdict: 'allow',
  rule: 'base',
}

const asked = (guard: Guard | GuardFunction, clock: FakeClock = fakeClock()) =>
  askGuard(checkGuards([guard])[0] as never, CALL, clock)
const configError = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (ConfigError.isInstance(error)) {
      expect(error.code).toBe('invalid-option')
      return error.path
    }
  }
  return expect.fail('it was accepted')
}

describe('`checkGuards`', () => {
  it('names each by its own name, by its function, or by its place', () => {
    async function classifier(): Promise<'allow'> {
      return 'allow'
    }
    const bound = classifier.bind(undefined)
    const named = { name: 'opa/main', decide: classifier }
    expect(checkGuards([classifier, async () => 'allow', named, bound]).map(({ name }) => name)).toEqual([
      'classifier',
      '1',
      'opa/main',
      '3',
    ])
    const odd = Object.defineProperty(async () => 'allow' as const, 'name', { value: 7 })
    expect(checkGuards([odd])[0]?.name).toBe('0')
    expect(checkGuards()).toEqual([])
  })

  it('keeps the receiver of a `decide`', async () => {
    class Fixed {
      readonly name = 'fixed'
      readonly #verdict = 'ask'
      async decide(): Promise<'ask'> {
        return this.#verdict as 'ask'
      }
    }
    expect(await asked(new Fixed())).toEqual({ verdict: 'ask' })
  })

  it.each<[string, unknown]>([
    ['guards', 'opa'],
    ['guards', null],
    ['guards', { name: 'a', decide: () => 'allow' }],
    ['guards.0', [null]],
    ['guards.0', [undefined]],
    ['guards.1', [() => 'allow', 'deny']],
    ['guards.0', [{ name: 'a' }]],
    ['guards.0', [{ name: 'a', decide: 'allow' }]],
    ['guards.0.name', [{ decide: () => 'allow' }]],
    ['guards.0.name', [{ name: 7, decide: () => 'allow' }]],
    ['guards.0.name', [{ name: '', decide: () => 'allow' }]],
    ['guards.0.name', [{ name: 'no blanks', decide: () => 'allow' }]],
    ['guards.0.name', [{ name: 'a'.repeat(65), decide: () => 'allow' }]],
  ])('refuses what is no guard, naming `%s`', (path, guards) => {
    expect(configError(() => checkGuards(guards as never))).toBe(path)
  })
})

describe('`askGuard`', () => {
  it.each<[string, unknown, unknown]>([
    ['a word', 'deny', { verdict: 'deny' }],
    ['an object', { verdict: 'ask' }, { verdict: 'ask' }],
    ['an object with a reason', { verdict: 'deny', reason: 'no' }, { verdict: 'deny', reason: 'no' }],
    ['an empty reason', { verdict: 'deny', reason: '' }, { verdict: 'deny' }],
    ['a reason that is none', { verdict: 'deny', reason: { toString: () => 'no' } }, { verdict: 'deny' }],
    ['a promise of a word', Promise.resolve('allow'), { verdict: 'allow' }],
    ['a thenable', { then: (resolve: (v: string) => void) => resolve('ask') }, { verdict: 'ask' }],
  ])('understands %s', async (_, answer, told) => {
    expect(await asked(() => answer as Promise<GuardAnswer>)).toEqual(told)
  })

  const nonsense: unknown[] = [
    undefined,
    null,
    true,
    1,
    '',
    'Allow',
    'allowed',
    ['allow'],
    {},
    { verdict: true },
    { verdict: 'yes' },
    { allow: true },
    new String('allow'),
    { verdict: new String('allow') },
    Promise.resolve(undefined),
    Promise.resolve({ verdict: Promise.resolve('allow') }),
    {
      get verdict() {
        throw new Error('no')
      },
    },
  ]
  it.each(nonsense.map((answer, index) => [index, answer]))('rejects for nonsense (%i)', async (_, answer) => {
    await expect(asked(() => answer as Promise<GuardAnswer>)).rejects.toThrow()
  })

  it('rejects when the guard throws, whatever it throws', async () => {
    for (const thrown of [new Error('no'), undefined, 'allow', { verdict: 'allow' }]) {
      const guard = () => {
        throw thrown
      }
      expect(await asked(guard).then(String, () => 'rejected')).toBe('rejected')
    }
  })

  it('waits for a second, and drops what comes later', async () => {
    const clock = fakeClock()
    const late = Promise.withResolvers<GuardAnswer>()
    const told: unknown[] = []
    const answer = asked(() => late.promise, clock).then(
      (value) => told.push(value),
      (error) => told.push(error.code),
    )
    await clock.advance(999)
    expect(told).toEqual([])
    await clock.advance(1)
    await answer
    expect(told).toEqual(['unavailable'])
    late.reject(new Error('too late, and of no use to anyone'))
    await clock.advance(10)
    expect(told).toHaveLength(1)

    const slow = asked(() => new Promise((resolve) => clock.setTimeout(() => resolve('allow'), 999)), clock)
    await clock.advance(999)
    expect(await slow).toEqual({ verdict: 'allow' })
    expect(clock.timers).toBe(0)
  })

  it.each(['answers', 'throws', 'hangs'])(
    'tells the guard by its signal when it %s that no more is needed',
    async (how) => {
      const clock = fakeClock()
      let signal: AbortSignal | undefined
      const answer = asked((_, options) => {
        signal = options.signal
        expect(signal.aborted).toBe(false)
        if (how === 'throws') throw new Error('no')
        return how === 'hangs' ? new Promise(() => {}) : Promise.resolve('allow' as const)
      }, clock).catch(() => {})
      await clock.advance(1_000)
      await answer
      expect(signal?.aborted).toBe(true)
    },
  )
})

describe('a policy client among the guards', () => {
  it('is asked for `haldir/decision`', async () => {
    const evaluate = vi.fn(async () => ({ allow: false, reason: 'closed' }))
    const [guard] = checkGuards([{ evaluate }])
    expect(guard?.name).toBe('haldir/decision')
    expect(await askGuard(guard as NamedGuard, CALL, fakeClock())).toEqual({ verdict: 'deny', reason: 'closed' })
    expect(evaluate).toHaveBeenCalledWith('haldir/decision', CALL)
  })
})

describe('`policyGuard`', () => {
  const answering = (result: unknown): PolicyClient => ({ evaluate: async () => result })
  const told = (result: unknown, options = {}) => asked(policyGuard(answering(result), { path: 'p', ...options }))

  it.each<[string, unknown, unknown]>([
    ['true', true, { verdict: 'allow' }],
    ['false', false, { verdict: 'deny' }],
    ['a verdict', 'ask', { verdict: 'ask' }],
    ['approved', 'approved', { verdict: 'allow' }],
    ['denied', { type: 'denied', reason: 'no' }, { verdict: 'deny', reason: 'no' }],
    ['user-approval', { type: 'user-approval' }, { verdict: 'ask' }],
    ['a decision', { decision: 'allow', reason: 'fine' }, { verdict: 'allow', reason: 'fine' }],
    ['allow: true', { allow: true }, { verdict: 'allow' }],
    ['allowed, and yet denied by a rule', { allow: true, deny: ['no'] }, { verdict: 'deny' }],
    ['allowed, and denied by none', { allow: true, deny: [] }, { verdict: 'allow' }],
    ['allow: false, and why', { allow: false, reason: 'no' }, { verdict: 'deny', reason: 'no' }],
    ['denied by nobody', { allow: true, deny: false }, { verdict: 'allow' }],
    ['denied, though not by a list', { allow: true, deny: true }, { verdict: 'deny' }],
    ['denied for what is no reason', { allow: true, deny: null }, { verdict: 'deny' }],
    ['allow that is not quite true', { allow: 1 }, { verdict: 'deny' }],
    ['several that differ: the strictest', { allow: true, decision: 'ask', verdict: 'allow' }, { verdict: 'ask' }],
    ['several that differ, and deny', { allow: false, decision: 'allow' }, { verdict: 'deny' }],
    ['more than it asked for', { allow: true, trace: [1, 2], reason: 7 }, { verdict: 'allow' }],
  ])('understands %s', async (_, result, answer) => {
    expect(await told(result)).toEqual(answer)
  })

  it.each<[unknown]>([
    [undefined],
    [null],
    [1],
    ['yes'],
    ['ALLOW'],
    ['constructor'],
    [{}],
    [[]],
    [[true]],
    [[{ result: true }]],
    [{ result: true }],
    [{ result: { allow: true } }],
    [{ decision: 'Allow' }],
    [{ decision: true }],
    [{ decision: ['allow'] }],
    [{ verdict: 'maybe', allow: true }],
    [{ type: 'toString' }],
    [{ allow: undefined }],
  ])('rejects for a shape it does not know: %j', async (result) => {
    await expect(told(result)).rejects.toThrow('no verdict')
  })

  it('rejects when the client does, or throws, or has no promise to give', async () => {
    const clients = [
      { evaluate: () => Promise.reject(new Error('no')) },
      {
        evaluate: () => {
          throw new Error('no')
        },
      },
      { evaluate: () => undefined },
    ]
    for (const client of clients) {
      await expect(asked(policyGuard(client as unknown as PolicyClient, { path: 'p' }))).rejects.toThrow()
    }
  })

  it('asks for the path, with the call or what is made of it, and reads the answer as told', async () => {
    const evaluate = vi.fn(async (_path: string, _input: unknown) => ({ score: 0.2 }))
    const result = (answer: unknown) => ((answer as { score: number }).score > 0.5 ? 'deny' : 'allow')
    const plain = policyGuard({ evaluate }, { path: 'agent/call', result })
    expect(await asked(plain)).toEqual({ verdict: 'allow' })
    expect(evaluate).toHaveBeenLastCalledWith('agent/call', CALL)
    const input = ({ tool, args }: GuardCall) => ({ tool: tool.name, args })
    await asked(policyGuard({ evaluate }, { path: 'agent/call', input, result }))
    expect(evaluate).toHaveBeenLastCalledWith('agent/call', { tool: 'refund', args: { amount: 5 } })
    expect(checkGuards([plain, policyGuard({ evaluate }, { path: 'p', name: 'opa' })]).map(({ name }) => name)).toEqual(
      ['agent/call', 'opa'],
    )
  })

  it('keeps the receiver of the client', async () => {
    class Client implements PolicyClient {
      readonly #answer = true
      async evaluate(): Promise<unknown> {
        return this.#answer
      }
    }
    expect(await asked(policyGuard(new Client(), { path: 'p' }))).toEqual({ verdict: 'allow' })
  })

  it.each<[string, unknown, unknown]>([
    ['client', undefined, { path: 'p' }],
    ['client', {}, { path: 'p' }],
    ['path', answering(true), { path: 7 }],
    ['path', answering(true), { path: '' }],
    ['pth', answering(true), { pth: 'p', path: 'p' }],
    ['guards.0.name', answering(true), { path: 'not a name' }],
  ])('refuses what it can not work with, naming `%s`', (path, client, options) => {
    expect(configError(() => checkGuards([policyGuard(client as PolicyClient, options as never)]))).toBe(path)
  })
})

describe('what is told', () => {
  it.each<[() => unknown, string]>([
    [() => checkGuards('opa' as never), '`guards` is a list'],
    [() => checkGuards([{ name: 'a' }] as never), '`guards.0` is a function, or has a `name` and a `decide`'],
    [
      () => checkGuards([{ name: 'no blanks', decide: async () => 'allow' }]),
      '`guards.0.name` is 1 to 64 letters, digits or `_.:/-`',
    ],
    [() => policyGuard({} as never), '`client` has a function `evaluate`'],
    [() => policyGuard({ evaluate: async () => true }, { path: '' }), '`path` names a policy'],
    [
      () => policyGuard({ evaluate: async () => true }, { pth: 'p' } as never),
      '`pth` is not among the options of `policyGuard`; did you mean `path`?',
    ],
  ])('of what can not work (%#)', (work, message) => {
    expect(work).toThrow(message)
  })

  it('of a guard that does not say anything it may, or not in time', async () => {
    const clock = fakeClock()
    for (const answer of ['yes', null, undefined, 7]) {
      await expect(asked(async () => answer as never)).rejects.toMatchObject({ message: 'a guard answered no verdict' })
    }
    const late = expect(asked({ name: 'slow', decide: () => new Promise(() => {}) }, clock)).rejects.toMatchObject({
      message: '`guard slow` did not answer in time',
    })
    await clock.advance(1_000)
    await late
    const empty = asked(policyGuard({ evaluate: async () => ({}) }))
    await expect(empty).rejects.toMatchObject({ message: 'the policy engine answered no verdict' })
  })

  it('with a `decide` of its own is a guard, though it can evaluate as well', async () => {
    const both = { name: 'both', decide: async () => 'ask' as const, evaluate: async () => true }
    expect(checkGuards([both])[0]?.name).toBe('both')
    expect(await asked(both)).toEqual({ verdict: 'ask' })
  })
})
