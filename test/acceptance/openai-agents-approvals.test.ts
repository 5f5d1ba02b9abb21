/** Runs of today's OpenAI Agents SDK that wait for a person. */
import * as sdk from '@openai/agents'
import * as testing from '@openai/agents/testing'
import { agentsApprovals } from './openai-agents-approvals.ts'

agentsApprovals(sdk, testing)
