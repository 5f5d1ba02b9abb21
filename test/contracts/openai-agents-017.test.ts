/** The adapter contract, under the oldest version of the OpenAI Agents SDK that the package takes, in the place of it. */
import { createRequire } from 'node:module'
import { adapterContract } from '@haldir/testing'
import * as sdk from 'agents017'
import * as testing from 'agents017/testing'
import { expect, it, vi } from 'vitest'
import { driverFor, type Version } from './openai-agents-driver.ts'

vi.mock('@openai/agents', () => import('agents017'))

it('is that version, for the adapter too', async () => {
  expect((await import('@openai/agents')).tool).toBe(sdk.tool)
  expect(createRequire(import.meta.url).resolve('agents017')).toContain('@openai+agents@0.17.')
})

adapterContract(driverFor({ name: 'OpenAI Agents SDK 0.17', sdk, testing } as unknown as Version))
