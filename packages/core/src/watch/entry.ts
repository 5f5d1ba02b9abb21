/** The entry: one record of the trail, version 1. Keys stand in this order; readers keep keys they do not know. */
import * as z from 'zod'

/** Every kind of entry there is. */
export const ENTRY_TYPES = [
  'intent',
  'outcome',
  'refusal',
  'session-created',
  'session-delegated',
  'session-extended',
  'session-revoked',
  'secret-put',
  'secret-read',
  'secret-rotated',
  'secret-deleted',
  'policy-loaded',
  'approval-requested',
  'approval-voted',
  'approval-decided',
  'approval-used',
  'approval-expired',
  'approval-withdrawn',
  'approval-rejected',
  'signal',
  'writer-opened',
  'writer-closed',
  'recovery',
  'gap',
  'checkpoint',
  'retention',
  'erasure',
] as const

export type EntryType = (typeof ENTRY_TYPES)[number]

/** An amount as entries carry it: an exact decimal. */
export interface EntryAmount {
  readonly unit: string
  readonly amount: string
}

export interface Entry {
  readonly v: 1
  /** Unique: the writer's id and `seq`. */
  readonly id: string
  /** The chain this entry belongs to: one for each process that writes. */
  readonly writer: string
  /** Position in the chain, from 0, without holes. */
  readonly seq: number
  /** When, by haldir's clock: RFC 3339, UTC, milliseconds. */
  readonly at: string
  readonly type: EntryType
  /** Name of the haldir that wrote it. */
  readonly haldir: string
  readonly tenant: string | null
  readonly agent: string | null
  readonly session: string | null
  /** The sessions this one was delegated from, the oldest first. */
  readonly chain: readonly string[]
  readonly call?: string
  /** The framework's own id of the call. Not unique, never trusted. */
  readonly ref?: string
  readonly tool?: string
  /** SHA-256 of the tool's definition. */
  readonly toolHash?: string
  /** HMAC-SHA-256 over tool and canonical arguments, under the key that `digestKey` names. */
  readonly digest?: string
  readonly digestKey?: string
  readonly verdict?: 'allow' | 'deny' | 'ask'
  readonly rule?: string
  readonly policyHash?: string
  /** Why a call was refused. */
  readonly code?: string
  readonly held: readonly EntryAmount[]
  readonly spent: readonly EntryAmount[]
  /** `false` in shadow mode: judged and recorded, not enforced. */
  readonly enforced: boolean
  readonly durationMs?: number
  /** What belongs to this type alone. Never a result or a secret; of arguments, what `record` of their tool names. */
  readonly data: Readonly<Record<string, unknown>>
  /** Hash of the entry before this one in the chain; 64 zeros for the first. */
  readonly prev: string
  /** SHA-256, hex, of this line as it stands without its `hash` member. */
  readonly hash: string
}

const hex = z.string().regex(/^[0-9a-f]{64}$/)
const amounts = z.array(z.object({ unit: z.string(), amount: z.string().regex(/^\d+(\.\d{1,6})?$/) }))

/** Checks one parsed entry. Keys it does not know are kept. */
export const entrySchema: z.ZodType<Entry> = z.looseObject({
  v: z.literal(1),
  id: z.string(),
  writer: z.string(),
  seq: z.int().nonnegative(),
  at: z.iso.datetime({ precision: 3 }),
  type: z.enum(ENTRY_TYPES),
  haldir: z.string(),
  tenant: z.string().nullable(),
  agent: z.string().nullable(),
  session: z.string().nullable(),
  chain: z.array(z.string()),
  call: z.string().exactOptional(),
  ref: z.string().exactOptional(),
  tool: z.string().exactOptional(),
  toolHash: hex.exactOptional(),
  digest: hex.exactOptional(),
  digestKey: z.string().exactOptional(),
  verdict: z.enum(['allow', 'deny', 'ask']).exactOptional(),
  rule: z.string().exactOptional(),
  policyHash: hex.exactOptional(),
  code: z.string().exactOptional(),
  held: amounts,
  spent: amounts,
  enforced: z.boolean(),
  durationMs: z.number().nonnegative().exactOptional(),
  data: z.record(z.string(), z.unknown()),
  prev: hex,
  hash: hex,
})

/** How the call of an `outcome` ended; stands in its `data.ended`. */
export type Ended = 'ok' | 'failed' | 'not-run'
