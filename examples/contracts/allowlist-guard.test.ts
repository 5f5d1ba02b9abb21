import { guardContract } from '@haldir/testing'
import { knownRecipients } from './allowlist-guard.ts'

guardContract({
  name: 'known recipients',
  open() {
    let down = false
    const guard = knownRecipients(async (agent) => {
      if (down) throw new Error('the directory is down')
      return [`${agent}@shop.example`]
    })
    return {
      guard,
      allowing: [{ tool: 'send_email', args: { to: 'bot@shop.example', text: 'hi' }, session: { agent: 'bot' } }],
      refusing: [
        { tool: 'send_email', args: { to: 'eve@elsewhere.example' }, session: { agent: 'bot' } },
        { tool: 'send_email', args: { to: ['bot@shop.example'] }, session: { agent: 'bot' } },
      ],
      break() {
        down = true
      },
      mend() {
        down = false
      },
    }
  },
})
