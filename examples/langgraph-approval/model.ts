import { AIMessage } from '@langchain/core/messages'
import { fakeModel } from 'langchain'

/** Stands in for a chat model, without key or network: two refunds at once, then a word to the user. */
export const model = fakeModel()
  .respondWithTools([
    { name: 'refund', args: { order: 'A1', amount: 15 } },
    { name: 'refund', args: { order: 'A2', amount: 120 } },
  ])
  .respond(new AIMessage('Both orders are refunded.'))
