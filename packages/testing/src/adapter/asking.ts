/** What the cases about people start from: a policy that asks, a tool that it asks about, and one that it does not. */
import { type Approval, type HaldirOptions, type Policy, type Store, usd } from '@haldir/core'
import type { AdapterDriver } from './driver.ts'
import { bodyOf, type House, house } from './house.ts'

/** People have to say yes to every call of `pay`. */
export const asking: Policy = {
  default: 'allow',
  allowByDefault: true,
  rules: [{ id: 'look', tools: 'pay', then: 'ask', because: 'somebody looks at payments' }],
}

/** What the tools do; several processes may have tools that do it. */
export interface Bodies {
  readonly pay: ReturnType<typeof bodyOf>
  readonly read: ReturnType<typeof bodyOf>
}

export function bodiesOfBoth(): Bodies {
  return { pay: bodyOf('pay', 'paid'), read: bodyOf('read', 'fine') }
}

/** Both tools, wrapped for a haldir. */
export function payAndRead(
  driver: AdapterDriver,
  { haldir }: House,
  bodies: Bodies = bodiesOfBoth(),
): Bodies & { readonly tools: { readonly pay: object; readonly read: object } } {
  const { pay, read } = bodies
  return {
    pay,
    read,
    tools: {
      pay: driver.wrap(driver.build(pay), { name: 'pay', scope: 'spend', cost: usd(5) }, { haldir }),
      read: driver.wrap(driver.build(read), { name: 'read', scope: 'read' }, { haldir }),
    },
  }
}

/** As many approvals as people are asked for, once they are. */
export async function pending({ haldir }: House, count: number): Promise<readonly Approval[]> {
  for (let tries = 0; tries < 1_000; tries++) {
    const found = await haldir.approvals.list({ state: 'pending' })
    if (found.length >= count) return found
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('nobody was asked')
}

/** A haldir that suspends what asks, on a store that it has together with others. */
export function sharing(store: Store, options: HaldirOptions = {}): House {
  return house({ policy: asking, store, approvals: { mode: 'suspend' }, ...options })
}
