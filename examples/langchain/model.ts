import { AIMessage } from '@langchain/core/messages'
import { fakeModel } from 'langchain'

/** Stands in for a chat model, without key or network: two refunds at once, a tool that nobody has, then a word to the user. */
export const model = fakeModel()
  .respondWithTools([
    { name: 'refund', args: { order: 'A1', amount: 29.99 } },
    { name: 'refund', args: { order: 'A2', amount: 34.5 } },
  ])
  .respondWithTools([{ name: 'wire_transfer', args: { amount: 34.5 } }])
  .respond(new AIMessage('Order A1 is refunded; A2 needs a person.'))
