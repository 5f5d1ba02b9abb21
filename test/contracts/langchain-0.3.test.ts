/**
 * The adapter contract, with the oldest LangChain that the package takes. It runs twice: `vitest.config.ts` has a project
 * that puts it in the place of today's; in the other, tools of one copy of LangChain meet an adapter that imports another.
 */
import { adapterContract } from '@haldir/testing'
import { ToolMessage } from '@langchain/core/messages'
import { functionCalling, messages, models, prebuilt, runnables, tools } from 'langchain-core-03'
import { expect, inject, it } from 'vitest'
import { type Agent, driverFor, type Version } from './langchain-driver.ts'

const version: Version = {
  name: 'createReactAgent of LangGraph 0.4',
  ...({ models, messages, runnables, tools } as object as Pick<Version, 'models' | 'messages' | 'runnables' | 'tools'>),
  toOpenAI: functionCalling.convertToOpenAITool as Version['toOpenAI'],
  agent: (llm, tools) => prebuilt.createReactAgent({ llm, tools } as never) as unknown as Agent,
  events: false,
  races: false,
}

declare module 'vitest' {
  interface ProvidedContext {
    oldLangChain?: true
  }
}

it('is the version that the adapter imports, where it is meant to be', () => {
  expect(ToolMessage === (messages.ToolMessage as unknown)).toBe(inject('oldLangChain') === true)
})
adapterContract(driverFor(version, 'tool'))
adapterContract(driverFor(version, 'class'))
adapterContract(driverFor(version, 'runnable'))
