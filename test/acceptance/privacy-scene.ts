/** What the tests of recorded arguments stand on: a tool that refunds, and what it says of its arguments. */
import { type Entry, envKey, governed, type RecordOptions, type Session, type ToolOptions } from '@haldir/core'

export const keyOf = (byte: number, name = 'KEY') =>
  envKey(name, { env: { [name]: Buffer.alloc(32, byte).toString('base64') } })
export const vault = { keys: [keyOf(7)] }

export const refund = {
  amount: 29.5,
  order: { id: 'A1', lines: [{ sku: 'S-1', note: 'leave at door' }, { sku: 'S-2' }] },
  customer: { id: 'C-77001', email: 'ada@example.com', name: 'Ada Lovelace' },
}

export const record: RecordOptions = {
  show: ['amount', 'order.id', 'order.lines.*.sku'],
  fingerprint: ['customer.email'],
  seal: ['customer.name', 'order.lines.*.note'],
  subject: 'customer.id',
}

export const VALUES = { 'customer.name': 'Ada Lovelace', 'order.lines[0].note': 'leave at door' }

export function refunder(session: Session, options: Partial<ToolOptions> = {}, ran: (args: object) => void = () => {}) {
  const run = async (args: object = {}) => {
    ran(args)
    return 'done'
  }
  return governed(run, { name: 'refund', scope: [], record, ...options }, { session })
}

export function argsOf(entry: Entry | undefined): Record<string, any> {
  return (entry?.data.args ?? {}) as Record<string, any>
}
