import type { Approval, Approver } from '@haldir/core'

/** Sends a message; rejects when it can't, or when `signal` aborts. */
type Send = (mail: { subject: string; text: string }, signal: AbortSignal) => Promise<void>

/** A channel that tells people by mail. They decide where the mail leads them, or elsewhere. */
export function mailApprover(send: Send): Approver {
  return {
    name: 'mail',
    async show(approval, note, signal) {
      // What was sent before is not sent again: `show` may be asked any number of times.
      const { state, votes, digest } = approval
      const sent = `${state} ${votes.length} ${digest}`
      if ((note as { sent?: string } | undefined)?.sent === sent) return undefined
      await send({ subject: line(`${approval.tool} by ${approval.agent}: ${state}`), text: textOf(approval) }, signal)
      return { sent }
    },
  }
}

function textOf({ state, agent, tool, cost, reason, url, argsText }: Approval): string {
  const facts = [`${state}: ${tool}, asked for by ${agent}`, `Why: ${reason}`, `Cost: ${cost.join(', ')}`]
  // `argsText` is all of the arguments, and safe to show; the rest others have written.
  return [...facts.map(line), ...(url === undefined ? [] : [url]), argsText].join('\n')
}

/** Text on one line, in which nothing hides. */
function line(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, '\ufffd')
}
