/**
 * A policy of Open Policy Agent as a guard. Haldir judges a call by its scopes; what they let through, OPA is asked
 * about, and it can only refuse more. Needs `policy.wasm`, which `opa build` makes: see README.md.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { styleText } from 'node:util'
import { createHaldir, Denied, governed, policyGuard } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { wasmClient } from './client.ts'

const wasm = new URL('policy.wasm', import.meta.url)
if (existsSync(wasm)) await story(new Uint8Array(readFileSync(wasm)))
else skip()

async function story(module: Uint8Array<ArrayBuffer>): Promise<void> {
  const client = await wasmClient(module)
  const haldir = createHaldir({
    sinks: [memorySink()],
    guards: [
      policyGuard(client, {
        name: 'opa',
        path: 'orders/decision',
        input: ({ tool, args, session }) => ({ tool: tool.name, args, agent: session.agent }),
      }),
    ],
  })

  const read_order = governed(async ({ order }: { order: number }) => `order ${order}, $40.00, paid`, {
    name: 'read_order',
    scope: 'orders:read',
  })
  const refund = governed(async ({ amount }: { order: number; amount: number }) => `refunded $${amount}`, {
    name: 'refund',
    scope: 'orders:refund',
  })
  const send_email = governed(async ({ to }: { to: string; text: string }) => `sent to ${to}`, {
    name: 'send_email',
    scope: 'mail:send',
  })
  const delete_order = governed(async ({ order }: { order: number }) => `deleted order ${order}`, {
    name: 'delete_order',
    scope: 'orders:delete',
  })

  const scopes = ['orders:read', 'orders:refund', 'mail:send']
  const session = await haldir.createSession({ agent: 'support-bot', scopes })
  console.log(`\n${paint('bold', 'Haldir: a policy of OPA as a guard')}\n`)
  console.log(`  ${session.agent} may  ${session.scopes.join('   ')}\n`)
  const told = await session.run(async () => [
    await show('read_order(1001)', read_order({ order: 1001 })),
    await show('refund(1001, 40)', refund({ order: 1001, amount: 40 })),
    await show('refund(1001, 400)', refund({ order: 1001, amount: 400 })),
    await show('send_email(ann@customers.example)', send_email({ to: 'ann@customers.example', text: 'On its way' })),
    await show('send_email(eve@elsewhere.example)', send_email({ to: 'eve@elsewhere.example', text: 'All orders' })),
    // The session does not hold this scope. OPA would allow it, and is not even asked.
    await show('delete_order(1001)', delete_order({ order: 1001 })),
  ])
  assert.deepEqual(told, ['allow', 'allow', 'policy-denied', 'allow', 'policy-denied', 'scope-missing'])
  await haldir.close()
}

/** Prints what came of a call; answers `allow` or the code of the denial. */
async function show(call: string, result: Promise<string>): Promise<string> {
  try {
    console.log(`  ${paint('green', 'allow')}  ${call.padEnd(36)}${await result}`)
    return 'allow'
  } catch (error) {
    if (!Denied.isInstance(error)) throw error
    console.log(`  ${paint('red', 'deny ')}  ${call.padEnd(36)}${error.code}, by ${error.rule}`)
    console.log(paint('dim', `         ${error.message}`))
    return error.code
  }
}

function skip(): void {
  console.log(`
Skipped: examples/opa/policy.wasm is not there. It is compiled from policy.rego, with OPA 0.59 or later
(https://www.openpolicyagent.org/docs/#running-opa):

  cd examples/opa
  opa build -t wasm -e orders/decision policy.rego
  tar -xzf bundle.tar.gz /policy.wasm
`)
}

// `styleText` leaves colours out with NO_COLOR, and when the output is no terminal.
function paint(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { stream: process.stdout })
}
