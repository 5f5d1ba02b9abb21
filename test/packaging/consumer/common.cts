/** A user's CommonJS module, only ever type-checked. */
import { createHaldir, usd } from '@haldir/core'

import memory = require('@haldir/core/stores/memory')

export const haldir = createHaldir({ store: memory.memoryStore() })
export const price: string = usd('9.99').decimal
export const adapter: Promise<typeof import('@haldir/ai-sdk').governed> = import('@haldir/ai-sdk').then(
  ({ governed }) => governed,
)
