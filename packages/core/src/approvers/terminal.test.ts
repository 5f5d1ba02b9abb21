import { EventEmitter } from 'node:events'
import { userInfo } from 'node:os'
import { PassThrough } from 'node:stream'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { Board } from '../../../testing/src/approver-contract/board.ts'
import type { Approval } from './approver.ts'
import { type TerminalApproverOptions, terminalApprover } from './terminal.ts'

const PROMPT = 'Approve? y or n, and why if you like: '
const turns = async () => {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function scene(options: Partial<TerminalApproverOptions> = {}, board: Board = new Board(fakeClock())) {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  let printed = ''
  const output = Object.assign(new EventEmitter(), {
    isTTY: true,
    write(text: string) {
      printed += text
    },
  })
  const approver = terminalApprover({ input, output, by: 'alice', env: { NO_COLOR: '1' }, ...options })
  approver.open?.(board)
  const notes = new Map<string, unknown>()
  let read = 0
  return {
    board,
    input,
    output,
    approver,
    notes,
    async show({ id }: Approval) {
      const note = await approver.show(board.of(id), notes.get(id), new AbortController().signal)
      notes.set(id, note ?? notes.get(id))
    },
    async type(text: string) {
      input.write(text)
      await turns()
    },
    /** What was printed since it was last asked. */
    printed() {
      const text = printed.slice(read)
      read = printed.length
      return text
    },
    said: () => board.heard.map(({ id, say: { approve, by, reason } }) => [id, approve, by, reason]),
  }
}

describe('a question', () => {
  it('is all that there is to know, and a prompt', async () => {
    const { board, show, printed } = scene()
    const approval = board.ask({
      args: { order: 'o-7', note: 'a\u202eb' },
      terms: [{ rule: 'big', quorum: 2, approvers: ['alice', 'bob'] }],
    })
    await board.say(approval.id, { approve: true, by: 'slack:bob', reason: 'fine' })
    await show(approval)
    expect(printed()).toBe(`
A call needs your approval
  Agent        order-bot
  Tenant       acme
  Tool         refund
  Cost         29.99 USD
  Budget left  170.01 USD
  Why          refunds of more than $20 need a person
  Needed       2 of alice, bob (big)
  Said so far  yes by slack:bob, fine
  Until        2026-01-01 00:05:00 UTC
  Approval     approval-1
  Arguments
    {
      "order": "o-7",
      "note": "a\\u{202e}b"
    }
${PROMPT}`)
  })

  it('shows what would act or hide, whoever has made its text', async () => {
    const { board, show, printed } = scene()
    await show(board.ask({ argsText: '{\n  "a": "\u001b[2J\u202e"\n}', reason: 'x\u0007\ny', tool: 'a\u200bb' }))
    const text = printed()
    expect(text).toContain('    {\n      "a": "\\u{1b}[2J\\u{202e}"\n    }\n')
    expect(text.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/)
  })

  it.each([
    [{}, true, true],
    [{ NO_COLOR: '1' }, true, false],
    [{}, false, false],
    [{ TERM: 'dumb' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
  ])('is coloured as %j wants it, at a terminal: %s', async (env, isTTY, coloured) => {
    const there = scene({ env })
    there.output.isTTY = isTTY
    const again = terminalApprover({ input: there.input, output: there.output, by: 'alice', env })
    again.open?.(there.board)
    await again.show(there.board.ask(), undefined, new AbortController().signal)
    expect(there.printed().includes('\u001b[')).toBe(coloured)
  })

  it('is answered by a yes or a no, with a reason behind it', async () => {
    const ANSWERS: readonly (readonly [typed: string, approve: boolean, reason?: string])[] = [
      ['y', true],
      ['Y', true],
      ['yes', true],
      ['  yes  ', true],
      ['y.', true],
      ['y, it was damaged', true, 'it was damaged'],
      ['n', false],
      ['No', false],
      ['n: never paid', false, 'never paid'],
      ['n never\tpaid\u001b[2J', false, 'never\\u{9}paid\\u{1b}[2J'],
      ['n Zoë 🧾', false, 'Zoë 🧾'],
    ]
    for (const [typed, approve, reason] of ANSWERS) {
      for (const end of ['\n', '\r\n']) {
        const { board, show, type, said } = scene()
        const approval = board.ask()
        await show(approval)
        await type(typed + end)
        expect(said(), typed).toEqual([[approval.id, approve, 'terminal:alice', reason]])
        expect(board.heard[0]?.say.digest).toBe(approval.digest)
      }
    }
  })

  it.each([
    '',
    ' ',
    'yep',
    'yn',
    'nothing',
    'ok',
    'approve',
    'it was damaged, y',
    '\u0000y',
    'ｙ',
    'y\u202e',
    '1',
    'true',
  ])('is not answered by %j: it stands there again', async (typed) => {
    const { board, show, type, printed, said } = scene()
    const approval = board.ask()
    await show(approval)
    printed()
    await type(`${typed}\n`)
    expect(printed()).toBe(
      `  Nothing is decided yet. Answer with y or n, such as \`n the order was never paid\`.\n${PROMPT}`,
    )
    expect(said()).toEqual([])
    await type('n\n')
    expect(board.of(approval.id).state).toBe('denied')
  })

  it('is answered by characters that come in pieces', async () => {
    const { board, show, type, said } = scene()
    await show(board.ask())
    const bytes = Buffer.from('n Zoë 🧾\n')
    for (const byte of bytes) await type(Buffer.from([byte]) as never)
    expect(said()[0]?.[3]).toBe('Zoë 🧾')
  })

  it('is not answered by what was typed before it stood there', async () => {
    const { board, input, show, type, said } = scene()
    input.write('y\nyes\ny')
    const approval = board.ask()
    await show(approval)
    await turns()
    expect(said()).toEqual([])
    await type('\n')
    expect(said()).toEqual([])
    await type('y\n')
    expect(board.of(approval.id).state).toBe('approved')
  })

  it('is not answered by many lines that were pasted or typed ahead, of which a terminal hands out one at a time', async () => {
    const { board, input, show, said, printed } = scene()
    const typed = Array.from({ length: 50 }, () => 'y\n')
    const handOut = () => {
      const line = typed.shift()
      if (line === undefined) return
      input.emit('data', line)
      setImmediate(handOut)
    }
    setImmediate(handOut)
    await Promise.all([board.ask(), board.ask()].map(show))
    await turns()
    expect([typed.length, said()]).toEqual([0, []])
    expect(printed().match(/Approval {5}\S+/g)).toEqual(['Approval     approval-1'])
    typed.push(...Array.from({ length: 50 }, () => 'y\n'))
    handOut()
    while (typed.length > 0) await turns()
    await turns()
    expect(said().map(([id]) => id)).toEqual(['approval-1'])
    expect(printed().match(/Approval {5}\S+/g)).toEqual(['Approval     approval-2'])
  })

  it('has an answer, and does not stand in the way of the next one', async () => {
    const { board, show, type, printed, said } = scene()
    const [one, two, three] = [board.ask(), board.ask(), board.ask()]
    await Promise.all([one, two, three].map(show))
    await turns()
    expect(printed().match(/Approval {5}\S+/g)).toEqual(['Approval     approval-1'])
    // Whoever pastes two answers has read one question.
    await type('y\ny\ny\n')
    expect(said().map(([id]) => id)).toEqual([one.id])
    const text = printed()
    expect(text).toMatch(/^ {2}it was approved by terminal:alice at 2026-01-01 00:00:00 UTC\n\nA call needs/)
    expect(text.match(/Approval {5}\S+/g)).toEqual(['Approval     approval-2'])
    // What it has said itself it does not say again.
    await show(one)
    expect(printed()).toBe('')
    await type('n\n')
    await type('y\n')
    expect([one, two, three].map(({ id }) => board.of(id).state)).toEqual(['approved', 'denied', 'approved'])
  })

  it('is closed when it is over elsewhere, and the next one has its turn', async () => {
    const { board, show, type, printed, said } = scene()
    const all = [board.ask(), board.ask(), board.ask()]
    for (const one of all) await show(one)
    printed()
    // One that nobody has seen is not spoken of.
    board.end(all[1]?.id as string, 'withdrawn')
    await show(all[1] as Approval)
    expect(printed()).toBe('')
    board.end(all[0]?.id as string, 'denied')
    await show(all[0] as Approval)
    await turns()
    expect(printed()).toMatch(
      /^\n {2}it was denied by elsewhere:somebody at [^\n]+\n\nA call needs[\s\S]*Approval {5}approval-3[\s\S]*you like: $/,
    )
    await type('y\n')
    expect(said().map(([id]) => id)).toEqual([all[2]?.id])
  })

  it('goes when its time is over; the approval is nobody’s then', async () => {
    const { board, show, type, printed, said } = scene({ timeout: '2m' })
    const [short, long] = [board.ask({ expiresAt: new Date(board.clock.now() + 60_000) }), board.ask()]
    await show(short)
    await show(long)
    printed()
    await board.clock.advance(60_000)
    await turns()
    expect(printed()).toMatch(/^\n {2}nobody has answered in time\n\nA call needs[\s\S]*Approval {5}approval-2/)
    board.end(short.id, 'expired')
    await show(short)
    expect(printed()).toBe(
      '  The call of refund by order-bot (approval approval-1): it expired: nobody decided in time\n',
    )
    await board.clock.advance(120_000)
    expect(printed()).toBe('\n  nobody has answered in time\n')
    await type('y\n')
    expect(said()).toEqual([])
    // It was asked, and is not asked again for the same.
    await show(long)
    expect(printed()).toBe('')
    expect(board.clock.timers).toBe(0)
  })

  it('is put anew when the arguments have changed', async () => {
    const { board, show, type, printed } = scene()
    const approval = board.ask({ terms: [{ rule: 'x', quorum: 2 }] })
    await show(approval)
    printed()
    board.edit(approval.id, { amount: 5.25 })
    // An answer to what stands there still.
    await type('y\n')
    expect(printed()).toContain('  This call is not the one that you were shown.\n')
    await show(approval)
    expect(printed()).toContain('"amount": 5.25')
    board.edit(approval.id, { amount: 5.5 })
    await show(approval)
    expect(printed()).toMatch(/^\n {2}its arguments have changed; it is asked anew\n\nA call[\s\S]*"amount": 5.5/)
    await type('y\n')
    expect(printed()).toBe('  your answer counts; others have to say yes, too\n')
    expect(board.of(approval.id).votes).toHaveLength(1)
    await show(approval)
    expect(printed()).toBe('')
  })

  it('whose answer does not count says why', async () => {
    const { board, show, type, printed } = scene({ by: 'order-bot' })
    await show(board.ask())
    printed()
    await type('y\n')
    expect(printed()).toBe('  Who asks for something does not approve it.\n')
  })

  it('whose answer can not be taken stands there again, with its time', async () => {
    const { board, show, type, printed } = scene()
    const approval = board.ask()
    await show(approval)
    printed()
    board.down = true
    await type('y\n')
    expect(printed()).toBe(`  That could not be recorded, and nothing has changed. Answer again.\n${PROMPT}`)
    expect(board.clock.timers).toBe(1)
    board.down = false
    await type('y\n')
    expect(board.of(approval.id).state).toBe('approved')
    expect(board.clock.timers).toBe(0)
  })

  it('is put again by a process that has not put it', async () => {
    const first = scene()
    const approval = first.board.ask()
    await first.show(approval)
    const second = scene({}, first.board)
    second.notes.set(approval.id, first.notes.get(approval.id))
    await second.show(approval)
    expect(second.printed()).toContain(PROMPT)
  })
})

describe('where nobody can answer', () => {
  const refused = { code: 'unavailable', message: '`terminal` has nobody who could answer' }

  it('nobody was asked: no terminal', async () => {
    const { board, input, show, printed } = scene()
    input.isTTY = false
    await expect(show(board.ask())).rejects.toMatchObject(refused)
    expect(printed()).toBe('')
    expect(input.readableFlowing).toBe(null)
  })

  it('nobody was asked: the input has ended', async () => {
    for (const end of [
      (one: PassThrough) => one.end(),
      (one: PassThrough) => one.destroy(),
      (one: PassThrough) => one.emit('error'),
    ]) {
      const { board, input, show, printed, said } = scene()
      await show(board.ask())
      await show(board.ask())
      printed()
      input.write('y')
      end(input)
      await turns()
      expect(printed()).toBe('\n  the input has ended; nothing is decided\n')
      expect(said()).toEqual([])
      await expect(show(board.ask())).rejects.toMatchObject(refused)
      expect(board.clock.timers).toBe(0)
    }
  })

  it('nobody was asked: it ends while it is asked, or had ended before', async () => {
    const { board, input, show, said, printed } = scene()
    input.end('y\n')
    await expect(show(board.ask())).rejects.toMatchObject(refused)
    await expect(show(board.ask())).rejects.toMatchObject(refused)
    expect([said(), printed()]).toEqual([[], ''])
  })

  it('nobody was asked: what is printed reaches nobody', async () => {
    const broken = scene()
    broken.output.write = () => {
      throw new Error('EPIPE')
    }
    await expect(broken.show(broken.board.ask())).rejects.toMatchObject(refused)
    const { board, output, show } = scene()
    await show(board.ask())
    output.emit('error', new Error('EPIPE'))
    await expect(show(board.ask())).rejects.toMatchObject(refused)
  })

  it('nobody is asked for somebody who does not wait any more', async () => {
    const { board, approver, printed } = scene()
    await expect(approver.show(board.ask(), undefined, AbortSignal.abort())).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(printed()).toBe('')
  })
})

describe('the input', () => {
  it('is let go of when nothing is asked, and does not keep the process alive meanwhile', async () => {
    const { board, input, show, type, approver } = scene()
    const refs: string[] = []
    Object.assign(input, { ref: () => refs.push('ref'), unref: () => refs.push('unref') })
    await show(board.ask())
    expect([refs, input.isPaused(), input.listenerCount('data')]).toEqual([['unref'], false, 1])
    await type('y\n')
    expect([refs, input.isPaused(), input.listenerCount('data')]).toEqual([['unref', 'ref'], true, 0])
    await show(board.ask())
    await approver.close?.()
    await approver.close?.()
    expect([
      refs.length,
      input.listenerCount('data'),
      input.listenerCount('end'),
      input.listenerCount('error'),
    ]).toEqual([4, 0, 0, 0])
  })

  it('that the program reads itself is left as it was', async () => {
    const { board, input, show, type } = scene()
    const heard: string[] = []
    input.on('data', (chunk) => heard.push(String(chunk)))
    await show(board.ask())
    await type('y\n')
    await type('more\n')
    expect([input.isPaused(), heard.join('')]).toEqual([false, 'y\nmore\n'])
  })
})

describe('the options', () => {
  it.each([
    ['input', 42],
    ['input', {}],
    ['output', {}],
    ['by', ''],
    ['by', 'slack:U1'],
    ['by', 'a\nb'],
    ['timeout', 'soon'],
  ])('`%s` is not %j', (path, value) => {
    expect(() => terminalApprover({ [path]: value } as never)).toThrow(
      expect.objectContaining({ code: 'invalid-option', path }),
    )
  })

  it('are known by name', () => {
    expect(() => terminalApprover({ inputs: 1 } as never)).toThrow('did you mean `input`?')
  })

  it('have defaults: this process, and whose it is', async () => {
    expect(terminalApprover().name).toBe('terminal')
    const { board, show, type, said } = scene({ by: undefined as never })
    await show(board.ask())
    await type('y\n')
    expect(said()[0]?.[2]).toBe(`terminal:${userInfo().username}`)
  })
})
