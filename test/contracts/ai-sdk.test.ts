/** The adapter contract, under each version of the AI SDK that the package takes. */
import { adapterContract } from '@haldir/testing'
import { driverFor } from './ai-sdk-driver.ts'
import { versions } from './ai-sdk-versions.ts'

for (const version of versions) adapterContract(driverFor(version))
