/** The adapter contract, with the oldest LangChain that the package takes: `vitest.config.ts` puts it in its place. */
import { adapterContract } from '@haldir/testing'
import { ToolMessage } from '@langchain/core/messages'
import { functionCalling, messages, models, prebuilt, runnables, tools } from 'langchain-core-03'
import { expect, it } from 'vitest'
import { type Agent, driverFor, type Version } from './langchain-driver.ts'

const version: Version = {
  name: 'createReactAgent of LangGraph 0.4',
  ...({ models, messages, runnables, tools } as object as Pick<Version, 'models' | 'messages' | 'runnables' | 'tools'>),
  toOpenAI: functionCalling.convertToOpenAITool as Version['toOpenAI'],
  agent: (llm, tools) => prebuilt.createReactAgent({ llm, tools } as never) as unknown as Agent,
  events: false,
  races: false,
}

it('is the version that the adapter imports', () => {
  expect(ToolMessage).toBe(messages.ToolMessage)
})
adapterContract(driverFor(version, 'tool'))
adapterContract(driverFor(version, 'class'))
adapterContract(driverFor(version, 'runnable'))
