/** The adapter contract, under the newest version of the OpenAI Agents SDK. */
import { adapterContract } from '@haldir/testing'
import * as sdk from '@openai/agents'
import * as testing from '@openai/agents/testing'
import { driverFor } from './openai-agents-driver.ts'

adapterContract(driverFor({ name: 'OpenAI Agents SDK', sdk, testing }))
