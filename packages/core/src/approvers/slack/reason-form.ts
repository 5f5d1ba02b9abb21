/** The form that asks for the reason of a denial. */
import type { Approval } from '../approver.ts'
import { ACTIONS, REASON_BLOCK, type Target, writeTarget } from './interaction.ts'
import { inline } from './text.ts'

/** How many characters a reason may have. */
export const REASON_ROOM = 500

export function reasonForm({ agent, tool }: Approval, target: Target): Readonly<Record<string, unknown>> {
  return {
    type: 'modal',
    callback_id: ACTIONS.reason,
    private_metadata: writeTarget(target),
    title: label('Deny'),
    submit: label('Deny'),
    close: label('Back'),
    blocks: [
      {
        type: 'section',
        text: { type: 'mrkdwn', text: `${inline(agent, 128)} calls ${inline(tool, 128)}`, verbatim: true },
      },
      {
        type: 'input',
        block_id: REASON_BLOCK,
        label: label('Why?'),
        element: { type: 'plain_text_input', action_id: REASON_BLOCK, multiline: true, max_length: REASON_ROOM },
      },
    ],
  }
}

function label(text: string): Readonly<Record<string, string>> {
  return { type: 'plain_text', text }
}
