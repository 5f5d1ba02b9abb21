/** The adapter contract, through each loop of today's LangChain, with each kind of tool. */
import { adapterContract } from '@haldir/testing'
import * as models from '@langchain/core/language_models/chat_models'
import * as messages from '@langchain/core/messages'
import * as runnables from '@langchain/core/runnables'
import * as tools from '@langchain/core/tools'
import { convertToOpenAITool } from '@langchain/core/utils/function_calling'
import { Command, MemorySaver } from '@langchain/langgraph'
import { createReactAgent } from '@langchain/langgraph/prebuilt'
import { createAgent, toolRetryMiddleware } from 'langchain'
import { type Agent, driverFor, type PausingAgent, type Version } from './langchain-driver.ts'

const classes = { models, messages, runnables, tools, toOpenAI: convertToOpenAITool, events: true, races: true }
const retry = () => toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 1, jitter: false })

/** What all processes have together. */
const checkpointer = new MemorySaver()

interface Graph extends Agent {
  getState(config: object): Promise<{ config: object }>
}

function paused(agent: object): PausingAgent {
  const graph = ((agent as { graph?: object }).graph ?? agent) as Graph
  return {
    invoke: (given, config) => graph.invoke(given, config),
    stream: (given, config) => graph.stream(given, config),
    at: async (config) => (await graph.getState(config)).config,
    command: (resume) => new Command({ resume }),
  }
}

const bare: Version = {
  ...classes,
  name: 'createAgent',
  agent: (model, tools, retrying) =>
    createAgent({ model, tools, middleware: (retrying ? [retry()] : []) as [] }) as unknown as Agent,
  pausing: (model, tools) => paused(createAgent({ model, tools, checkpointer })),
}
const prebuilt: Version = {
  ...classes,
  name: 'createReactAgent',
  agent: (llm, tools) => createReactAgent({ llm, tools }) as unknown as Agent,
  // Version 1 runs the calls of a turn that did not pause again.
  pausing: (llm, tools) => paused(createReactAgent({ llm, tools, checkpointSaver: checkpointer, version: 'v2' })),
}

adapterContract(driverFor(bare, 'tool'))
adapterContract(driverFor(bare, 'class'))
adapterContract(driverFor(bare, 'runnable'))
adapterContract(driverFor(prebuilt, 'tool'))
