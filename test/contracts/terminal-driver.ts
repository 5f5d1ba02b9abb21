/** Drives `terminalApprover` for the approver contract: somebody types at what looks like a terminal. */
import { PassThrough } from 'node:stream'
import { type TerminalApproverOptions, terminalApprover } from '@haldir/core/approvers/terminal'
import type { OpenedApprover, Shown } from '@haldir/testing'

export const PROMPT = 'Approve? y or n, and why if you like: '
const TITLE = 'A call needs your approval\n'

/** A terminal: what is typed there, and what is printed. */
export function terminal(options: Partial<TerminalApproverOptions> = {}) {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  let printed = ''
  const output = {
    isTTY: true,
    write(text: string) {
      printed += text
    },
  }
  return {
    approver: terminalApprover({ input, output, by: 'alice', env: { NO_COLOR: '1' }, ...options }),
    input,
    type: (text: string) => void input.write(text),
    printed: () => printed,
    /** Waits for something to become true while promises settle; answers whether it did. */
    async until(what: (printed: string) => boolean, turns = 50): Promise<boolean> {
      for (let turn = 0; turn < turns; turn++) {
        if (what(printed)) return true
        await new Promise((resolve) => setImmediate(resolve))
      }
      return what(printed)
    },
  }
}

/** Every question that was printed, with what was printed of it since. */
export function questionsIn(printed: string): Shown[] {
  const [, ...blocks] = printed.split(TITLE)
  const questions = blocks.map((block) => ({
    approval: /^ {2}Approval +(\S+)$/m.exec(block)?.[1] ?? '',
    // What is told of another approval stands with that.
    text: block.replace(NEWS, ''),
    canApprove: false,
  }))
  for (const [news, id] of printed.matchAll(NEWS)) {
    const about = questions.findLast(({ approval }) => approval === id)
    if (about) about.text += news
  }
  const last = questions.at(-1)
  if (last && printed.endsWith(PROMPT)) last.canApprove = true
  return questions
}

const NEWS = /^ {2}The call of .* \(approval (\S+)\): .*\n/gm

export function openTerminal(): OpenedApprover {
  const desk = terminal()
  const standing = (id: string) => questionsIn(desk.printed()).some((one) => one.approval === id && one.canApprove)
  return {
    approver: desk.approver,
    people: [{ name: 'alice', by: 'terminal:alice' }],
    shown: () => questionsIn(desk.printed()),
    async decide({ approval, approve, reason }) {
      if (!(await desk.until(() => standing(approval)))) return ''
      const before = desk.printed().length
      desk.type(`${approve ? 'y' : 'n'}${reason === undefined ? '' : ` ${reason}`}\n`)
      await desk.until((printed) => printed.length > before)
      return desk.printed().slice(before)
    },
    // Nobody sits there any more, or there never was a terminal.
    break() {
      desk.input.isTTY = false
    },
    mend() {
      desk.input.isTTY = true
    },
    acts: ['\u001b', '\u0007', '\u202e'],
    close() {},
  }
}
