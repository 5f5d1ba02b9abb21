/** Tools of every framework, as it makes them, given to every `governed` but their own: alone, in sets, in lists. */
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed as governedAiSdk } from '@haldir/ai-sdk'
import { governed as governedAnthropic } from '@haldir/anthropic'
import { ConfigError, governed as governedCore } from '@haldir/core'
import { governed as governedLangchain } from '@haldir/langchain'
import { governed as governedOpenai } from '@haldir/openai'
import { governed as governedAgents } from '@haldir/openai/agents'
import { DynamicTool, tool as langchainTool } from '@langchain/core/tools'
import { createTool } from '@mastra/core/tools'
import { Agent, tool as agentsTool, webSearchTool } from '@openai/agents'
import { tool as aiTool } from 'ai'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { proves } from '../promises.ts'

const schema = z.object({ amount: z.number() })
const json = { type: 'object' as const, properties: { amount: { type: 'number' as const } } }
const run = async () => 'ran'
const [name, description] = ['pay', 'Pays']

const TOOLS: Readonly<Record<string, readonly unknown[]>> = {
  '@haldir/ai-sdk': [
    aiTool({ description, inputSchema: schema, execute: run }),
    createTool({ id: name, description, inputSchema: schema, execute: run }),
  ],
  '@haldir/langchain': [
    langchainTool(run, { name, description, schema }),
    new DynamicTool({ name, description, func: run }),
  ],
  '@haldir/openai': [
    { type: 'function', function: { name, description, parameters: json, parse: JSON.parse, function: run } },
    zodFunction({ name, parameters: schema, function: run }),
    zodResponsesFunction({ name, parameters: schema, function: run }),
  ],
  '@haldir/openai/agents': [
    agentsTool({ name, description, parameters: schema, execute: run }),
    new Agent({ name }).asTool({ toolName: name, toolDescription: description }),
    webSearchTool(),
  ],
  '@haldir/anthropic': [
    betaZodTool({ name, description, inputSchema: schema, run }),
    betaTool({ name, description, inputSchema: json, run }),
    { name, description, input_schema: json, run },
  ],
  '@haldir/core': [run],
}

const GOVERNED: readonly (readonly [own: string, governed: (tools: any, options: any) => unknown])[] = [
  ['@haldir/ai-sdk', governedAiSdk],
  ['@haldir/langchain', governedLangchain],
  ['@haldir/openai', governedOpenai],
  ['@haldir/openai/agents', governedAgents],
  ['@haldir/anthropic', governedAnthropic],
  ['@haldir/core', governedCore],
]

describe.each(GOVERNED)('`governed` of %s', (own, governed) => {
  const others = Object.entries(TOOLS).filter(([package_]) => package_ !== own)

  it.each(others)('sends tools to %s, however they came', (package_, tools) => {
    proves('framework-agnostic')
    for (const tool of tools) {
      // LangChain takes what only says what a provider runs, whoever made it.
      if (own === '@haldir/langchain' && (tool as { type?: unknown }).type === 'hosted_tool') continue
      const ways = [
        () => governed(tool, { name, scope: 'spend' }),
        () => governed({ [name]: tool }, { [name]: { scope: 'spend' } }),
        () => governed([tool], { [name]: { scope: 'spend' } }),
      ]
      // A function without a name is a mistake of another kind.
      if (typeof tool !== 'function') ways.push(() => governed(tool, { scope: 'spend' }))
      for (const way of ways) {
        let told: unknown
        try {
          way()
        } catch (error) {
          told = ConfigError.isInstance(error) ? [error.code, error.message] : error
        }
        expect(told).toEqual(['ungovernable', expect.stringContaining(`\`governed\` of \`${package_}\``)])
      }
    }
  })
})
