/** Both ends of the range of Anthropic SDKs that the package takes, as tests drive them. */
import Anthropic1 from '@anthropic-ai/sdk'
import * as json1 from '@anthropic-ai/sdk/helpers/beta/json-schema'
import * as mcp1 from '@anthropic-ai/sdk/helpers/beta/mcp'
import * as memory1 from '@anthropic-ai/sdk/helpers/beta/memory'
import * as zod1 from '@anthropic-ai/sdk/helpers/beta/zod'
import { ToolError as ToolError1 } from '@anthropic-ai/sdk/lib/tools/ToolError'
import Anthropic0 from 'anthropic0'
import * as json0 from 'anthropic0/helpers/beta/json-schema'
import * as mcp0 from 'anthropic0/helpers/beta/mcp'
import * as memory0 from 'anthropic0/helpers/beta/memory'
import * as zod0 from 'anthropic0/helpers/beta/zod'
import { ToolError as ToolError0 } from 'anthropic0/lib/tools/ToolError'

/** What the tests use of the SDK is the same in both. */
export interface Version {
  readonly name: string
  readonly Anthropic: typeof Anthropic1
  readonly ToolError: typeof ToolError1
  readonly betaTool: typeof json1.betaTool
  readonly betaZodTool: typeof zod1.betaZodTool
  readonly betaMemoryTool: typeof memory1.betaMemoryTool
  readonly mcpTools: typeof mcp1.mcpTools
  /** Whether a runner tells a tool which call it is, and of its caller's signal. */
  readonly tellsTools: boolean
}

const newest = {
  name: 'Anthropic SDK 1',
  Anthropic: Anthropic1,
  ToolError: ToolError1,
  ...json1,
  ...zod1,
  ...memory1,
  ...mcp1,
  tellsTools: true,
}
const oldest = {
  name: 'Anthropic SDK 0.72',
  Anthropic: Anthropic0,
  ToolError: ToolError0,
  ...json0,
  ...zod0,
  ...memory0,
  ...mcp0,
  tellsTools: false,
}

export const versions: readonly Version[] = [newest, oldest as unknown as Version]
