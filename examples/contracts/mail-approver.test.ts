import { approverContract, type Shown } from '@haldir/testing'
import { mailApprover } from './mail-approver.ts'

approverContract({
  name: 'mail',
  open() {
    const inbox: { subject: string; text: string }[] = []
    let server: 'up' | 'down' | 'hang' = 'up'
    const approver = mailApprover(async (mail, signal) => {
      signal.throwIfAborted()
      if (server === 'down') throw new Error('the mail server is down')
      if (server === 'up') inbox.push(mail)
      else await new Promise((_, reject) => signal.addEventListener('abort', reject, { once: true }))
    })
    // Which approval a mail is about, people see from what it says; the test keeps it beside.
    const about: string[] = []
    const { show } = approver
    approver.show = async (approval, note, signal) => {
      const answer = await show(approval, note, signal)
      if (inbox.length > about.length) about.push(approval.id)
      return answer
    }
    return {
      approver,
      people: [{ name: 'ann@shop.example', by: 'mail:ann@shop.example' }],
      shown: (): Shown[] =>
        inbox.map(({ subject, text }, index) => ({
          approval: about[index] as string,
          text: `${subject}\n${text}`,
          canApprove: false,
        })),
      break(how) {
        server = how
      },
      mend() {
        server = 'up'
      },
      close() {},
    }
  },
  lacks: {
    decide: 'people decide where the mail leads them',
    other: 'nobody decides by mail',
    another: 'a mail that was sent stays as it is',
    forgeries: 'nothing comes in by mail',
    replay: 'nothing comes in by mail',
  },
})
