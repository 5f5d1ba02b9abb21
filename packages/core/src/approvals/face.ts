/** `haldir.approvals` and `haldir.fetch`: approvals as an application sees them. */
import type { Approval, Approver, Say, SayRefusal } from '../approvers/approver.ts'
import { toolsOf } from '../context.ts'
import { ConfigError, Denied, HaldirError } from '../errors.ts'
import { fromCanonical } from '../gate/approvals/binding.ts'
import { type Executed, type GovernedTool, type Governor, type Streamed, thrownFor } from '../governor.ts'
import { checkKeys } from '../options.ts'
import type { ApprovalFilter, ApprovalRow, ApprovalState } from '../stores/approvals.ts'
import { type Approvals as Asked, DECIDED } from './approvals.ts'
import { keptIn } from './rows.ts'
import { speak } from './saying.ts'

/** Which approvals to list. */
export interface ApprovalQuestion {
  readonly tenant?: string
  readonly session?: string
  readonly agent?: string
  readonly state?: ApprovalState
  /** At most so many, the newest first; 100 unless given. */
  readonly limit?: number
}

/** What people are asked, and what they have said. In shadow mode there is nothing of it. */
export interface Approvals {
  /** The newest first. */
  list(question?: ApprovalQuestion): Promise<readonly Approval[]>
  get(id: string): Promise<Approval | undefined>
  /**
   * Says what a person has said: for an application that asks people itself, and vouches for `by`. Rejects with
   * `HaldirError` whose `code` says why it counts for nothing: `unknown`, `decided`, `expired`, `not-approver`,
   * `self-approval`, `voted`, `other-digest`, `invalid`; with `unavailable` when store or trail do not take it.
   */
  decide(id: string, say: Say): Promise<Approval>
  /**
   * Called with every approval that is decided or over, also one of another process: at least once in one of the
   * processes that listen. When a handler rejects, all of them are called again. Answers how to stop listening.
   */
  onDecided(handler: (approval: Approval) => unknown): () => void
  /**
   * Runs a suspended call that was approved: once, in whichever process; its tool must be wrapped here. Answers what the
   * tool answers. Rejects with `Suspended` while nobody has decided, and with `Denied` when it may not run (any more).
   */
  resume(id: string): Promise<unknown>
}

export function approvalsFace(asked: () => Asked | undefined, governor: Governor): Approvals {
  const handlers = new Set<Handler>()
  const open = (): Asked => {
    const approvals = asked()
    if (approvals) return approvals
    if (governor.shadow) throw new HaldirError('unknown', 'in shadow mode nobody is asked')
    throw new ConfigError('invalid-option', 'approvers', 'nobody can be asked: set `approvers` or `approvals`')
  }
  return Object.freeze({
    async list(question: ApprovalQuestion = {}) {
      if (governor.shadow) return []
      const approvals = open()
      checkKeys(question, ['tenant', 'session', 'agent', 'state', 'limit'], 'what to list approvals by')
      const { limit = 100, ...rest } = question
      if (!Number.isSafeInteger(limit) || limit < 1) {
        throw new ConfigError('invalid-option', 'limit', '`limit` is a whole number, at least 1')
      }
      await approvals.expire(EXPIRE_AT_ONCE)
      const filter: ApprovalFilter = { ...rest, limit }
      const rows = await approvals.ask((verbs) => verbs.list(filter), 'list')
      return rows.map((row) => approvals.shown(row))
    },
    async get(id: string) {
      if (governor.shadow) return undefined
      const approvals = open()
      await approvals.expire(EXPIRE_AT_ONCE)
      return approvals.get(String(id))
    },
    async decide(id: string, say: Say) {
      const said = await speak(open(), 'api', id, say)
      if (said.ok) return said.approval
      throw new HaldirError(CODES[said.refused] ?? said.refused, said.why)
    },
    onDecided(handler: (approval: Approval) => unknown) {
      if (typeof handler !== 'function')
        throw new ConfigError('invalid-option', 'onDecided', '`onDecided` takes a function')
      if (governor.shadow) return () => {}
      const { deliveries } = open()
      handlers.add(handler)
      if (handlers.size === 1) deliveries.add(DECIDED, tellEach(handlers))
      return () => {
        handlers.delete(handler)
        if (handlers.size === 0) deliveries.remove(DECIDED)
      }
    },
    async resume(id: string) {
      return resume(open(), governor, String(id))
    },
  })
}

type Handler = (approval: Approval) => unknown

/** Each is told, whatever becomes of the others; and none again while they still work on it. */
function tellEach(handlers: ReadonlySet<Handler>): Approver['show'] {
  const working = new Map<string, Promise<void>>()
  const tell = async (approval: Approval) => {
    const told = await Promise.allSettled([...handlers].map(async (each) => each(approval)))
    const failed = told.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
    if (failed) throw failed.reason
  }
  return async (approval, _, signal) => {
    const { id, state } = approval
    if (state === 'pending') return
    const work = working.get(id) ?? tell(approval)
    working.set(id, work)
    try {
      await work
    } finally {
      // They may take longer than a channel may: then what came of it is for the one who asks the next time.
      if (!signal.aborted) working.delete(id)
    }
  }
}

/** How many overdue ones a look ends on its way. */
const EXPIRE_AT_ONCE = 100

/** What a person is told of is what an application is told of, but for codes that denials have as well. */
const CODES: Partial<Record<SayRefusal, string>> = { expired: 'approval-expired' }

async function resume(approvals: Asked, governor: Governor, id: string): Promise<unknown> {
  const row = await approvals.row(id)
  if (!row) throw new HaldirError('unknown', 'there is no such approval')
  const { sealed, waiting } = keptIn(row)
  if (waiting !== 'suspend' || !sealed) {
    throw new HaldirError('invalid', 'the call of this approval waits by itself and is not resumed')
  }
  const tool = toolFor(governor, row)
  const session = await approvals.sessions.handle(row.session)
  if (!session) throw new Denied('no-session', 'the session is not known', '')
  const text = await approvals.house.vault.openText(row.tenant, `approval.${id}`, sealed)
  const request = { args: fromCanonical(text), ref: row.ref, approval: id }
  return answerOf(await governor.executeOrStream(tool, request, session))
}

/**
 * The tool as it was when people were asked; one of the same name with another definition is another tool, and so is
 * one that was wrapped for another session.
 */
function toolFor(governor: Governor, row: ApprovalRow): GovernedTool {
  const { toolHash } = keptIn(row)
  const fitting = toolsOf(governor).filter(({ tool }) => tool?.name === row.tool && tool.hash === toolHash)
  const own = fitting.find(({ session }) => session === row.session)
  const { tool } = own ?? fitting.find(({ session }) => session === undefined) ?? {}
  if (tool) return tool
  throw new ConfigError(
    'invalid-option',
    'resume',
    `the tool \`${row.tool}\`, as it was when a person was asked, is not governed in this process`,
  )
}

function answerOf(outcome: Executed | Streamed): unknown {
  if (outcome.status !== 'ran') throw thrownFor(outcome)
  return 'items' in outcome ? outcome.items : outcome.value
}

/** Answers requests of the channels: clicks, links, callbacks. */
export async function answerRequest(approvals: Asked | undefined, request: Request): Promise<Response> {
  for (const approver of approvals?.options.approvers ?? []) {
    try {
      const response = await approver.fetch?.(request)
      if (response) return response
    } catch (error) {
      approvals?.house.faults.note(`approver ${approver.name}`, error)
      return new Response('This could not be handled now; try again.', { status: 503 })
    }
  }
  return new Response('There is nothing here.', { status: 404 })
}
