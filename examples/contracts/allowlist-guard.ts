import type { Guard, GuardCall } from '@haldir/core'

/** A guard that asks somebody else which addresses of this agent are known: a directory, a database. */
export function knownRecipients(known: (agent: string) => Promise<readonly string[]>): Guard {
  return {
    name: 'known-recipients',
    async decide({ tool, args, session }: GuardCall) {
      if (tool.name !== 'send_email') return 'allow'
      const { to } = args as { to?: unknown }
      // What `known` throws refuses the call.
      const addresses = await known(session.agent)
      if (typeof to === 'string' && addresses.includes(to)) return 'allow'
      return { verdict: 'deny', reason: 'mail goes to known recipients alone' }
    },
  }
}
