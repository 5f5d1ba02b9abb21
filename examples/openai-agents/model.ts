import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing'

/**
 * Stands in for a model, without key or network: it asks for two charges at once, and says to the user what it has read
 * of each.
 */
export const model = new ScriptedModel([
  [29.99, 34.5].map((amount, index) => functionCall('charge', { amount }, { callId: `call-${index}` })),
  modelResponder(({ request: { input } }) => {
    const results = Array.isArray(input) ? input.filter((item) => item.type === 'function_call_result') : []
    return [assistantMessage(results.map(({ output }) => (output as { text: string }).text).join('\n'))]
  }),
])
