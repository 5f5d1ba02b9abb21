/** The same with the oldest version of the SDK that the package takes, in the place of today's. */
import * as sdk from 'agents017'
import * as testing from 'agents017/testing'
import { vi } from 'vitest'
import { agentsApprovals } from './openai-agents-approvals.ts'

vi.mock('@openai/agents', () => import('agents017'))

agentsApprovals(sdk as never, testing as never)
