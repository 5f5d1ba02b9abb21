/** Every script of the store, composed of its parts. */
import { createHash } from 'node:crypto'
import { ADMIT, ADMIT_MANY, ASKED, EACH_OPEN, LIFE, ONCE, OPEN } from './admits.ts'
import { APPROVAL, APPROVALS, CHANGE, CONSENT, END, REQUEST, USE } from './approvals.ts'
import { DECIMAL, MINUS, RATES, TIME } from './ground.ts'
import {
  CANCEL,
  EDGE,
  ENDING,
  EXPIRE,
  edge,
  HOLD,
  HOLD_TEXT,
  HOLDS,
  RATED,
  READ,
  RENEW,
  SETTLE,
  WRITE_HOLD,
} from './holds.ts'
import { CHARGE, COUNT, MOVE, PARTS, ROWS, TAKE } from './meters.ts'
import { CLAIM, HELLO, HOLD_ON, LOOK, PUT_WRITER, TENANTS, TOUCH, UNCLAIM, WRITE, WRITERS } from './plain.ts'
import { DELETE, NEWEST, PUT, REWRAP, SECRETS, USED, VERSIONS } from './secrets.ts'
import { CREATE, EXTEND, RESUME, REVOKE, SESSION, SUSPEND, TELL, TREE } from './sessions.ts'
import { DUE, FIND, LATER, LIST, NOTE, SHOWN, SINCE } from './telling.ts'

export interface Script {
  readonly text: string
  /** SHA-1 of the text, hex: what `EVALSHA` knows it by. */
  readonly sha: string
}

export type ScriptName =
  | 'admit'
  | 'admitMany'
  | 'settle'
  | 'cancel'
  | 'renew'
  | 'expire'
  | 'hold'
  | 'read'
  | 'create'
  | 'session'
  | 'extend'
  | 'revoke'
  | 'suspend'
  | 'resume'
  | 'request'
  | 'approval'
  | 'change'
  | 'use'
  | 'end'
  | 'find'
  | 'list'
  | 'due'
  | 'shown'
  | 'later'
  | 'note'
  | 'since'
  | 'put'
  | 'newest'
  | 'secrets'
  | 'rewrap'
  | 'used'
  | 'delete'
  | 'claim'
  | 'write'
  | 'holdOn'
  | 'look'
  | 'unclaim'
  | 'touch'
  | 'tenants'
  | 'putWriter'
  | 'writers'
  | 'hello'

function script(...parts: readonly string[]): Script {
  const text = parts
    .join('')
    .replace(/^\s+/gm, '')
    .replace(/^--.*\n/gm, '')
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/**
 * Parts that a script needs at times: to make their functions takes a good part of the time of a script, whether they
 * are called or not.
 */
function when(condition: string, ...parts: readonly string[]): string {
  const text = parts.join('')
  const names = [...text.matchAll(/^local function (\w+)/gm)].map(([, name]) => name)
  return `\nlocal ${names.join(', ')}\nif ${condition} then\n${text.replace(/^local function /gm, 'function ')}\nend\n`
}

const amounts = [TIME, DECIMAL, ROWS]
const ending = [...amounts, MINUS, HOLDS, HOLD_TEXT, WRITE_HOLD, ENDING, PARTS]
const sessions = [TIME, LIFE, TELL, TREE]
const approvals = [TIME, TELL, CONSENT, APPROVALS]

export const SCRIPTS: Readonly<Record<ScriptName, Script>> = {
  admit: script(
    ...amounts,
    ASKED,
    EDGE,
    when('more.rates', MINUS, RATES),
    CHARGE,
    TAKE,
    HOLDS,
    HOLD_TEXT,
    when('more.once', ONCE),
    OPEN,
    when('now >= open', LIFE),
    when('more.id', TELL, CONSENT),
    ADMIT,
  ),
  admitMany: script(...amounts, edge(2), CHARGE, TAKE, HOLD_TEXT, EACH_OPEN, ADMIT_MANY),
  settle: script(...ending, edge(5), RATED, when('rated', RATES), CHARGE, COUNT, SETTLE),
  cancel: script(...ending, MOVE, CANCEL),
  renew: script(TIME, HOLDS, HOLD_TEXT, WRITE_HOLD, PARTS, RENEW),
  expire: script(...ending, MOVE, EXPIRE),
  hold: script(TIME, HOLDS, HOLD),
  read: script(...amounts, edge(2), MINUS, RATES, CHARGE, READ),

  create: script(...sessions, CREATE),
  session: script(...sessions, SESSION),
  extend: script(...sessions, EXTEND),
  revoke: script(...sessions, REVOKE),
  suspend: script(...sessions, SUSPEND),
  resume: script(...sessions, RESUME),

  request: script(...approvals, LIFE, REQUEST),
  approval: script(...approvals, APPROVAL),
  change: script(...approvals, CHANGE),
  use: script(...approvals, USE),
  end: script(...approvals, END),
  find: script(...approvals, FIND),
  list: script(...approvals, LIST),
  due: script(...approvals, DUE),
  shown: script(...approvals, SHOWN),
  later: script(...approvals, LATER),
  note: script(...approvals, NOTE),
  since: script(TIME, SINCE),

  put: script(TIME, VERSIONS, PUT),
  newest: script(TIME, VERSIONS, NEWEST),
  secrets: script(TIME, SECRETS),
  rewrap: script(TIME, REWRAP),
  used: script(TIME, USED),
  delete: script(TIME, DELETE),

  claim: script(CLAIM),
  write: script(WRITE),
  holdOn: script(HOLD_ON),
  look: script(LOOK),
  unclaim: script(UNCLAIM),
  touch: script(TOUCH),
  tenants: script(TENANTS),
  putWriter: script(PUT_WRITER),
  writers: script(WRITERS),
  hello: script(HELLO),
}
