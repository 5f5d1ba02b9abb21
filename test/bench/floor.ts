/**
 * The floors: the same bytes of work, written by hand and straight down, as a good engineer would who needs them at one
 * place and for nothing else. Nothing here comes from core. What governing means beyond these bytes (sessions, scopes,
 * meters, holds, refusals, redaction, deadlines) is what the ratio shows.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHmac, hash, type KeyObject, randomUUID } from 'node:crypto'
import { types } from 'node:util'
import type { Order, Receipt, Tool } from './orders.ts'

export type Write = (line: string) => void

/** The two transactions of a call, for the floor of the SQLite store. */
export interface Transactions {
  admit(call: string, amount: number): void
  settle(call: string): void
}

export interface FloorParts {
  readonly tool: Tool
  readonly write: Write
  readonly key: KeyObject
  /** Whether entries carry an amount. */
  readonly priced: boolean
  readonly transactions?: Transactions
}

const frames = new AsyncLocalStorage<{ readonly call: string }>()
const TOOL_HASH = '5c0c8f47a2b1d3e6907c8a6c55e1f0b2d4938e7a6f1c0d2b3a495867768594a3'

/** One call: snapshot, canonical text, keyed digest, intent, the tool in its context, outcome. */
export function byHand({ tool, write, key, priced, transactions }: FloorParts): Tool {
  const writer = randomUUID()
  const session = randomUUID()
  let seq = 0
  let prev = '0'.repeat(64)

  function append(entry: Record<string, unknown>): void {
    const text = JSON.stringify(entry)
    prev = hash('sha256', text, 'hex')
    seq++
    write(`${text.slice(0, -1)},"hash":"${prev}"}\n`)
  }

  return async (order) => {
    const call = randomUUID()
    const args = snapshot(order, { nodes: 10_000, length: 1_048_576 }, 0) as Order
    const text = JSON.stringify(args)
    const digest = createHmac('sha256', key).update(text).digest('hex')
    const held = priced ? [{ unit: 'USD', amount: String(args.amount) }] : []
    transactions?.admit(call, args.amount)

    await append({
      v: 1,
      id: `${writer}:${seq}`,
      writer,
      seq,
      at: new Date().toISOString(),
      type: 'intent',
      haldir: 'haldir',
      tenant: 'default',
      agent: 'bench',
      session,
      chain: [],
      call,
      tool: 'charge',
      toolHash: TOOL_HASH,
      digest,
      digestKey: 'default.1',
      verdict: 'allow',
      rule: priced ? 'scope:spend' : 'scope:read',
      held,
      spent: [],
      enforced: true,
      data: {},
      prev,
    })

    const began = performance.now()
    const receipt: Receipt = await frames.run({ call }, tool, copyOf(args) as Order)
    const took = Math.round((performance.now() - began) * 1_000) / 1_000
    transactions?.settle(call)

    await append({
      v: 1,
      id: `${writer}:${seq}`,
      writer,
      seq,
      at: new Date().toISOString(),
      type: 'outcome',
      haldir: 'haldir',
      tenant: 'default',
      agent: 'bench',
      session,
      chain: [],
      call,
      tool: 'charge',
      toolHash: TOOL_HASH,
      digest,
      digestKey: 'default.1',
      held: [],
      spent: held,
      enforced: true,
      durationMs: took,
      data: { ended: 'ok' },
      prev,
    })
    return receipt
  }
}

/** The naive floor: what one writes who trusts the arguments. */
export function naive(tool: Tool, write: Write): Tool {
  let prev = ''
  const append = (entry: Record<string, unknown>) => {
    const text = JSON.stringify({ ...entry, at: Date.now(), prev })
    prev = hash('sha256', text, 'hex')
    write(`${text}\n`)
  }
  return async (order) => {
    append({ type: 'intent', tool: 'charge', args: order })
    const receipt = await tool(order)
    append({ type: 'outcome', tool: 'charge', ok: receipt.ok })
    return receipt
  }
}

/** A copy of plain data, keys sorted, made without running a line of the caller's: no getter, no trap, no `toJSON`. */
function snapshot(value: unknown, room: { nodes: number; length: number }, depth: number): unknown {
  if (--room.nodes < 0) throw new TypeError('too many values')
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('broken text')
      room.length -= value.length
      if (room.length < 0) throw new TypeError('too much text')
      return value
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('not finite')
      return value
    case 'boolean':
    case 'undefined':
      return value
    case 'object':
      break
    default:
      throw new TypeError('not data')
  }
  if (value === null) return null
  if (types.isProxy(value) || depth === 64) throw new TypeError('a Proxy, or too deep')
  const prototype = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype || Reflect.ownKeys(value).length !== value.length + 1) throw new TypeError('odd')
    const copy: unknown[] = []
    for (let index = 0; index < value.length; index++) copy.push(snapshot(own(value, index), room, depth + 1))
    return copy
  }
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('not plain')
  const copy: Record<string, unknown> = {}
  const keys = Reflect.ownKeys(value)
  for (const key of keys) if (typeof key === 'symbol' || key === '__proto__') throw new TypeError('an odd key')
  for (const key of (keys as string[]).sort()) copy[key] = snapshot(own(value, key), room, depth + 1)
  return copy
}

function own(value: object, key: string | number): unknown {
  const property = Object.getOwnPropertyDescriptor(value, key)
  if (!property || !('value' in property) || !property.enumerable) throw new TypeError('not plain')
  return property.value
}

function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  const copy: Record<string, unknown> = {}
  for (const key in value) copy[key] = copyOf((value as Record<string, unknown>)[key])
  return copy
}
