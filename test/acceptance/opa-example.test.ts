/**
 * The OPA example's client against a module written by hand: it has what OPA's WebAssembly modules export (ABI 1.3) and
 * three entrypoints that need no Rego. One answers with its input, one comes to no decision, one stops.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createHaldir, type Denied, type GuardCall, governed, policyGuard } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { describe, expect, it } from 'vitest'
import { wasmClient } from '../../examples/opa/client.ts'

const INPUT = 8_192
const FOUND = '[{"result":'
const TEXTS = { 1024: '{}', 1032: '{"test/echo":0,"test/undefined":1,"test/stops":2}', 1100: '[]' }

describe('wasmClient', () => {
  it('gives the input to the policy and answers its decision', async () => {
    const client = await wasmClient(echo())
    const input = { tool: 'refund', args: { amount: 40, note: 'Zoë “ok”' }, scopes: [] }
    expect(await client.evaluate('test/echo', input)).toEqual(input)
    expect(await client.evaluate('test/echo', { decision: 'deny', reason: 'no' })).toEqual({
      decision: 'deny',
      reason: 'no',
    })
  })

  it('takes no input of one call for that of another', async () => {
    const client = await wasmClient(echo())
    const inputs = Array.from({ length: 50 }, (_, which) => ({ which, text: 'x'.repeat((which * 37) % 900) }))
    expect(await Promise.all(inputs.map((input) => client.evaluate('test/echo', input)))).toEqual(inputs)
  })

  it('rejects when the decision is undefined, so that it can not pass for a verdict', async () => {
    const client = await wasmClient(echo())
    await expect(client.evaluate('test/undefined', {})).rejects.toThrow('OPA did not come to one decision')
  })

  it.each(['test/stops', 'test/nowhere', 'constructor'])(
    'rejects with an error when OPA throws, at %s',
    async (path) => {
      const client = await wasmClient(echo())
      await expect(client.evaluate(path, {})).rejects.toThrow('OPA could not evaluate the policy')
    },
  )

  it('rejects what is no module', async () => {
    await expect(wasmClient(new Uint8Array(8))).rejects.toThrow('magic word')
  })
})

it('what OPA decides of a call is what a governed call gets to hear', async () => {
  const client = await wasmClient(echo())
  const input = ({ args }: GuardCall) => args
  const haldir = createHaldir({
    sinks: [memorySink()],
    guards: [policyGuard(client, { name: 'opa', path: 'test/echo', input })],
  })
  try {
    let ran = 0
    const decided = governed(async (_: object) => ++ran, { name: 'decided', scope: [] })
    const session = await haldir.createSession({ agent: 'bot', scopes: [] })
    const outcome = (decision: object) =>
      session.run(() => decided(decision)).catch(({ code, rule, message }: Denied) => ({ code, rule, message }))
    expect(await outcome({ decision: 'allow' })).toBe(1)
    expect(await outcome({ decision: 'deny', reason: 'a refund is at most $50' })).toEqual({
      code: 'policy-denied',
      rule: 'guard:opa',
      message: expect.stringContaining('a refund is at most $50'),
    })
    expect(await outcome({ decision: 'perhaps' })).toMatchObject({ code: 'unavailable' })
    expect(await outcome({})).toMatchObject({ code: 'unavailable' })
    expect(ran).toBe(1)
  } finally {
    await haldir.close()
  }
})

it.skipIf(existsSync(new URL('../../examples/opa/policy.wasm', import.meta.url)))(
  'without its module the example says how to build it, and ends well',
  () => {
    const main = new URL('../../examples/opa/main.ts', import.meta.url).pathname
    const printed = execFileSync(process.execPath, ['--conditions=@haldir/source', main], { encoding: 'utf8' })
    expect(printed).toContain('opa build -t wasm -e orders/decision policy.rego')
  },
)

/** The module, byte by byte. Every number in it is below 2^31 and every section has its length in front. */
function echo(): Uint8Array<ArrayBuffer> {
  const [I32, END, PARAM] = [0x7f, 0x0b, 0x20]
  const constant = (value: number) => [0x41, ...signed(value)]
  const type = (params: number) => [0x60, ...list(Array(params).fill([I32])), 1, I32]
  const body = (...code: number[]) => sized([0, ...code, END])
  const answer = (value: number) => body(...constant(value))
  // opa_eval(reserved, entrypoint, data, input, inputLength, heap, format): the address of the result, as text.
  const evaluate = body(
    ...[PARAM, 1, ...constant(1), 0x46, 0x04, 0x40, ...constant(1_100), 0x0f, END],
    ...[PARAM, 1, ...constant(2), 0x46, 0x04, 0x40, 0x00, END],
    // `}]` and a zero behind the input; what stands before it is there from the start.
    ...[PARAM, 3, PARAM, 4, 0x6a, ...constant(0x5d7d), 0x36, 0, 0],
    ...[PARAM, 3, ...constant(FOUND.length), 0x6b],
  )
  const functions = [
    { name: 'builtins', type: 0, body: answer(1_024) },
    { name: 'entrypoints', type: 0, body: answer(1_032) },
    { name: 'opa_heap_ptr_get', type: 0, body: answer(INPUT) },
    { name: 'opa_malloc', type: 1, body: answer(4_096) },
    { name: 'opa_json_dump', type: 1, body: body(PARAM, 0) },
    { name: 'opa_json_parse', type: 2, body: body(PARAM, 0) },
    { name: 'opa_eval', type: 3, body: evaluate },
  ]
  const versions = [
    { name: 'opa_wasm_abi_version', value: 1 },
    { name: 'opa_wasm_abi_minor_version', value: 3 },
  ]
  const data = Object.entries({ ...TEXTS, [INPUT - FOUND.length]: FOUND })
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, ...sized(list([type(0), type(1), type(2), type(7)]))],
    ...[2, ...sized(list([[...text('env'), ...text('memory'), 0x02, 0, 2]]))],
    ...[3, ...sized(list(functions.map(({ type }) => [type])))],
    ...[6, ...sized(list(versions.map(({ value }) => [I32, 0, ...constant(value), END])))],
    ...[
      7,
      ...sized(
        list([
          ...functions.map(({ name }, which) => [...text(name), 0x00, which]),
          ...versions.map(({ name }, which) => [...text(name), 0x03, which]),
        ]),
      ),
    ],
    ...[10, ...sized(list(functions.map(({ body }) => body)))],
    ...[11, ...sized(list(data.map(([at, value]) => [0, ...constant(Number(at)), END, ...text(value)])))],
  ])
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes]
}

function text(value: string): number[] {
  return sized([...new TextEncoder().encode(value)])
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** LEB128 of a number that is not negative; the last byte must not look like a negative one's. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)]
}
