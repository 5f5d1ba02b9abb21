/** The adapter contract, through each loop of today's LangChain, with each kind of tool. */
import { adapterContract } from '@haldir/testing'
import * as models from '@langchain/core/language_models/chat_models'
import * as messages from '@langchain/core/messages'
import * as runnables from '@langchain/core/runnables'
import * as tools from '@langchain/core/tools'
import { convertToOpenAITool } from '@langchain/core/utils/function_calling'
import { createReactAgent } from '@langchain/langgraph/prebuilt'
import { createAgent, toolRetryMiddleware } from 'langchain'
import { type Agent, driverFor, type Version } from './langchain-driver.ts'

const classes = { models, messages, runnables, tools, toOpenAI: convertToOpenAITool, events: true, races: true }
const retry = () => toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 1, jitter: false })

const bare: Version = {
  ...classes,
  name: 'createAgent',
  agent: (model, tools, retrying) =>
    createAgent({ model, tools, middleware: (retrying ? [retry()] : []) as [] }) as unknown as Agent,
}
const prebuilt: Version = {
  ...classes,
  name: 'createReactAgent',
  agent: (llm, tools) => createReactAgent({ llm, tools }) as unknown as Agent,
}

adapterContract(driverFor(bare, 'tool'))
adapterContract(driverFor(bare, 'class'))
adapterContract(driverFor(bare, 'runnable'))
adapterContract(driverFor(prebuilt, 'tool'))
