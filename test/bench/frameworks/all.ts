import { aiSdk } from './ai-sdk.ts'
import { anthropic } from './anthropic.ts'
import type { FrameworkBench } from './framework.ts'
import { langChain } from './langchain.ts'
import { openAI } from './openai.ts'
import { openAIAgents } from './openai-agents.ts'

export const FRAMEWORKS: readonly (() => FrameworkBench)[] = [aiSdk, langChain, openAI, openAIAgents, anthropic]
