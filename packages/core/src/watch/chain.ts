/** The chain of one writer: every entry carries the hash of the one before, so no inner entry can change unseen. */
import { hash } from 'node:crypto'
import type { Amount } from '../money.ts'
import type { EntryType } from './entry.ts'

export const GENESIS: string = '0'.repeat(64)

/** What an entry says, before it has its place in the chain. */
export interface Draft {
  readonly type: EntryType
  /** Text from `sessionFragment`. */
  readonly session: string
  /** Text from `callFragment`; empty when the entry is about no call. */
  readonly call?: string
  readonly verdict?: 'allow' | 'deny' | 'ask'
  readonly rule?: string | undefined
  readonly policyHash?: string | undefined
  readonly code?: string
  readonly held?: readonly Amount[]
  readonly spent?: readonly Amount[]
  readonly durationMs?: number
  readonly data?: Readonly<Record<string, unknown>>
  /** Whose doing it is and of which call, for those who follow entries while they are written. */
  readonly about?: About
}

/** What the texts `session` and `call` were made from. */
export interface About {
  readonly session?: { readonly id: string; readonly tenant: string; readonly agent: string } | undefined
  readonly tool?: { readonly name: string } | undefined
  readonly digest?: string | undefined
}

// Lines are built from fragments of JSON text: a session's members are the same for all its entries, a tool's for all
// its calls. That keeps the fixed order of keys and costs a third of serialising an object for each entry.

/** The text of the members that name whose doing an entry is; made once per session. */
export function sessionFragment(
  session: { tenant: string; agent: string | null; id: string | null; chain: readonly string[] } | undefined,
): string {
  if (!session) return '"tenant":null,"agent":null,"session":null,"chain":[]'
  const { tenant, agent, id, chain } = session
  return `"tenant":${json(tenant)},"agent":${json(agent)},"session":${json(id)},"chain":${json(chain)}`
}

/** Of entries that are nobody's doing. */
export const NOBODY: string = sessionFragment(undefined)

/** The text of the members that name a tool, made once per tool. */
export function toolFragment(tool: { name: string; hash?: string | undefined }): string {
  return `"tool":${json(tool.name)}${tool.hash === undefined ? '' : `,"toolHash":"${tool.hash}"`}`
}

/** The text of the members that name one call, made once per call. */
export function callFragment(
  call: { id: string; ref?: string | undefined; digest?: string | undefined },
  tool: string,
  digestKey: string | undefined,
): string {
  let text = `"call":"${call.id}",`
  if (call.ref !== undefined) text += `"ref":${json(call.ref)},`
  text += tool
  if (call.digest !== undefined) text += `,"digest":"${call.digest}","digestKey":${json(digestKey)}`
  return `${text},`
}

/** A writer's chain: gives each draft its place, its hash and its line. */
export class Chain {
  readonly writer: string
  readonly #head: string
  readonly #enforced: boolean
  #seq = 0
  #prev = GENESIS
  #genesis = GENESIS
  #at = 0
  #atText = ''

  /** `enforced: false` stands in every entry of a haldir in shadow mode. */
  constructor(writer: string, haldir: string, enforced = true) {
    this.writer = writer
    this.#enforced = enforced
    this.#head = `,"haldir":${json(haldir)},`
  }

  /** How many entries there are. */
  get entries(): number {
    return this.#seq
  }

  /** Hash of the last entry. */
  get head(): string {
    return this.#prev
  }

  /** Hash of the first entry. */
  get genesis(): string {
    return this.#genesis
  }

  /** Appends a draft; answers its line, newline included. */
  append(draft: Draft, now: number): string {
    const seq = this.#seq
    let text = `{"v":1,"id":"${this.writer}:${seq}","writer":"${this.writer}","seq":${seq},"at":"${this.#time(now)}"`
    text += `,"type":"${draft.type}"${this.#head}${draft.session},${draft.call ?? ''}`
    if (draft.verdict !== undefined) text += `"verdict":"${draft.verdict}",`
    if (draft.rule !== undefined) text += `"rule":${json(draft.rule)},`
    if (draft.policyHash !== undefined) text += `"policyHash":"${draft.policyHash}",`
    if (draft.code !== undefined) text += `"code":"${draft.code}",`
    text += `"held":${amounts(draft.held)},"spent":${amounts(draft.spent)},"enforced":${this.#enforced},`
    if (draft.durationMs !== undefined) text += `"durationMs":${draft.durationMs},`
    text += `"data":${draft.data === undefined ? '{}' : dataText(draft.data)},"prev":"${this.#prev}"}`
    const digest = lineHash(text)
    if (seq === 0) this.#genesis = digest
    this.#seq = seq + 1
    this.#prev = digest
    // Hashing has made one flat string of the pieces; cutting it is cheaper than joining them all again.
    return `${text.slice(0, -1)},"hash":"${digest}"}\n`
  }

  // Many entries share a millisecond.
  #time(now: number): string {
    if (now !== this.#at || this.#atText === '') {
      this.#at = now
      this.#atText = new Date(now).toISOString()
    }
    return this.#atText
  }
}

/** The hash of a line as it stands without its `hash` member: SHA-256, hex. */
export function lineHash(text: string): string {
  return hash('sha256', text, 'hex')
}

function amounts(list: readonly Amount[] | undefined): string {
  if (!list || list.length === 0) return '[]'
  let text = '['
  for (const { unit, decimal } of list) {
    text += `${text.length === 1 ? '' : ','}{"unit":"${unit}","amount":"${decimal}"}`
  }
  return `${text}]`
}

/** Recorded arguments are a model's text: what hides or turns text round in a terminal stands there as an escape. */
function dataText(data: Readonly<Record<string, unknown>>): string {
  const text = json(data)
  return data.args === undefined ? text : text.replace(HIDDEN, escaped)
}

const HIDDEN = /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/gu

function escaped(character: string): string {
  let text = ''
  for (let unit = 0; unit < character.length; unit++) {
    text += `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`
  }
  return text
}

function json(value: unknown): string {
  return JSON.stringify(value)
}
