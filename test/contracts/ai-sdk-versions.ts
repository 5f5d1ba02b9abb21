/** The versions of the AI SDK that the package takes, as tests drive them. */
import * as sdk7 from 'ai'
import * as sdk5 from 'ai5'
import * as sdk6 from 'ai6'
import { scriptedModel, scriptedModel5, scriptedModel6 } from './ai-sdk-model.ts'

type Shared = Pick<
  typeof sdk7,
  | 'createUIMessageStreamResponse'
  | 'dynamicTool'
  | 'generateText'
  | 'jsonSchema'
  | 'stepCountIs'
  | 'streamText'
  | 'tool'
  | 'ToolLoopAgent'
>

/** A version of the SDK. What the driver uses of it is the same in all, but for what stands here. */
export interface Version {
  readonly name: string
  readonly major: 5 | 6 | 7
  readonly sdk: Shared
  readonly model: typeof scriptedModel
  /** How a loop is told what its tools are to know. */
  readonly carrying: (tools: object, context: object) => object
  /** What `execute` finds that under. */
  readonly context: 'context' | 'experimental_context'
}

const older = {
  carrying: (_: object, context: object) => ({ experimental_context: context }),
  context: 'experimental_context',
} as const

export const versions: readonly Version[] = [
  {
    name: 'AI SDK 7',
    major: 7,
    sdk: sdk7,
    model: scriptedModel,
    carrying: (tools, context) => ({
      toolsContext: Object.fromEntries(Object.keys(tools).map((name) => [name, context])),
    }),
    context: 'context',
  },
  {
    name: 'AI SDK 6',
    major: 6,
    sdk: sdk6 as unknown as Shared,
    model: scriptedModel6 as unknown as Version['model'],
    ...older,
  },
  {
    name: 'AI SDK 5',
    major: 5,
    sdk: sdk5 as unknown as Shared,
    model: scriptedModel5 as unknown as Version['model'],
    ...older,
  },
]
