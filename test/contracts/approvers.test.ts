/** The approver contract, for every approver of ours. */
import { approverContract } from '@haldir/testing'
import { proves } from '../promises.ts'
import { openSlack } from './slack-driver.ts'
import { openTerminal } from './terminal-driver.ts'
import { openWebhook } from './webhook-driver.ts'

proves('invariant-8')

approverContract({ name: 'slack', open: ({ clock }) => openSlack(clock) })
approverContract({ name: 'webhook, by links', open: ({ clock }) => openWebhook(clock, 'link') })
approverContract({ name: 'webhook, by callbacks', open: ({ clock }) => openWebhook(clock, 'callback') })
approverContract({
  name: 'terminal',
  open: openTerminal,
  lacks: {
    other: 'one person sits at a terminal',
    another: 'one program asks at a terminal',
    forgeries: 'nothing comes in but what is typed there',
    replay: 'nothing comes in but what is typed there',
  },
})
