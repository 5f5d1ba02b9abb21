import type { MastraModelConfig } from '@mastra/core/llm'
import { model as scripted } from '../quickstart/model.ts'

/** The model of the quickstart, which asks for two charges at once: Mastra takes models of the AI SDK. */
export const model = scripted as unknown as MastraModelConfig
