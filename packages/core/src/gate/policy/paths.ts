/** Paths: how a condition names a part of the call. `args.items[0].price`, `args["odd key"]`, `session.agent`. */
import { nearest } from '../../options.ts'
import { hint, problem } from './problem.ts'
import type { Path, Root } from './tree.ts'

/** What a known field holds. `list` is of texts; `map` holds anything, under names of the application's own. */
export type FieldKind = 'string' | 'number' | 'boolean' | 'list' | 'map'

export interface Field {
  readonly kind: FieldKind
  /** For editors. */
  readonly says: string
  /** The least and the greatest number it can be. */
  readonly range?: readonly [number, number]
  /** The shape its text has, and how that shape is told to an author. */
  readonly shape?: RegExp
  readonly like?: string
  /** All that it can be. */
  readonly one?: readonly string[]
}

export const WEEKDAYS: readonly string[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

const text = (says: string): Field => ({ kind: 'string', says })
const flag = (says: string): Field => ({ kind: 'boolean', says })
const number = (says: string, ...range: [number, number]): Field => ({ kind: 'number', says, range })
const shaped = (says: string, shape: RegExp, like: string): Field => ({ kind: 'string', says, shape, like })

/** The fields of each root that has fields of its own; what stands under `args` and `item` is the call's affair. */
export const FIELDS: Readonly<Record<'session' | 'tool' | 'time', Readonly<Record<string, Field>>>> = {
  session: {
    id: text('The session’s public id.'),
    agent: text('The agent that the session is for.'),
    tenant: text('The tenant that the session is for.'),
    scopes: { kind: 'list', says: 'The scopes the session was granted, as they were written.' },
    attributes: { kind: 'map', says: 'What the application said of the session: `session.attributes.team`.' },
    depth: number(
      'How many sessions it was delegated through; 0 for one that was created.',
      0,
      Number.MAX_SAFE_INTEGER,
    ),
  },
  tool: {
    name: text('The tool’s name.'),
    framework: text('The framework the tool belongs to.'),
    readOnly: flag('The tool changes nothing.'),
    destructive: flag('The tool may destroy or overwrite something.'),
    idempotent: flag('Calling the tool again changes nothing more.'),
    openWorld: flag('The tool reaches beyond the application: the web, other people.'),
    labels: { kind: 'map', says: 'Labels the developer gave the tool: `tool.labels.area`.' },
  },
  time: {
    hour: number('The hour, 0 to 23.', 0, 23),
    minute: number('The minute, 0 to 59.', 0, 59),
    weekday: {
      ...shaped('The day of the week.', new RegExp(`^(${WEEKDAYS.join('|')})$`), WEEKDAYS.join(', ')),
      one: WEEKDAYS,
    },
    day: number('The day of the month, 1 to 31.', 1, 31),
    month: number('The month, 1 to 12.', 1, 12),
    year: number('The year.', 1, 9_999),
    date: shaped('The date, such as `2026-11-23`.', /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, '2026-11-23'),
    clock: shaped('The time of day, such as `07:43`.', /^([01]\d|2[0-3]):[0-5]\d$/, '07:43'),
  },
}

const LONGEST = 1_000
const NAME = /\.([A-Za-z0-9_$-]+)/y
const INDEX = /\[(0|[1-9]\d{0,8})\]/y
const QUOTED = /\[("(?:[^"\\]|\\.)*")\]/y

/** Reads a path. Throws `ConfigError` for one that does not follow the grammar, or names a field that no root has. */
export function parsePath(text: string, at: string, allowItem: boolean): Path {
  const roots: Root[] = allowItem ? ['args', 'session', 'tool', 'time', 'item'] : ['args', 'session', 'tool', 'time']
  if (text.length > LONGEST) throw problem(at, 'is longer than 1,000 characters')
  const name = /^[^.[]*/.exec(text)?.[0] ?? ''
  if (name === 'item' && !allowItem)
    throw problem(at, 'names `item`, which stands for an item inside `every` and `some`')
  const root = roots.find((root) => root === name)
  if (root === undefined)
    throw problem(at, `is not a path, which begins with ${wordsOf(roots)}${guess(text, name, roots)}`)
  const keys = keysOf(text, root.length, at)
  const path: Path = { text, root, keys }
  if (root !== 'args' && root !== 'item') checkField(path, root, at)
  return path
}

/** The known field a path ends at. `undefined`: what it holds is not known before a call. */
export function fieldAt({ root, keys }: Path): Field | undefined {
  if (root === 'args' || root === 'item') return undefined
  const [name, ...rest] = keys
  const field = FIELDS[root][String(name)]
  if (rest.length === 0) return field
  return field?.kind === 'list' ? ITEM_OF_LIST : undefined
}

const ITEM_OF_LIST: Field = text('One of them.')

function keysOf(text: string, from: number, at: string): (string | number)[] {
  const keys: (string | number)[] = []
  let index = from
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = index
    const found = pattern.exec(text)
    if (found) index += found[0].length
    return found?.[1]
  }
  while (index < text.length) {
    const name = take(NAME)
    if (name !== undefined) {
      // `args.0` could be the first item or a key "0"; a guess that is wrong would be a rule that never matches.
      if (/^\d+$/.test(name)) throw problem(at, 'has a number for a name; write `[0]` for an item, `["0"]` for a key')
      keys.push(name)
      continue
    }
    const item = take(INDEX)
    if (item !== undefined) {
      keys.push(Number(item))
      continue
    }
    const quoted = take(QUOTED)
    if (quoted === undefined) throw problem(at, `is not a path; it goes on with ${GRAMMAR}`)
    keys.push(unquoted(quoted, at))
  }
  if (keys.includes('__proto__')) throw problem(at, 'names `__proto__`, which no call can carry')
  return keys
}

const GRAMMAR = '`.name`, `[0]` or `["any text"]`'

function unquoted(quoted: string, at: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    throw problem(at, 'is not a path; what stands in `[""]` is a text as JSON writes it')
  }
}

function checkField({ keys }: Path, root: 'session' | 'tool' | 'time', at: string): void {
  const known = Object.keys(FIELDS[root])
  const [name, next] = keys
  if (name === undefined)
    throw problem(at, `names no field; known are ${wordsOf(known.map((one) => `${root}.${one}`))}`)
  const field = Object.hasOwn(FIELDS[root], name) ? FIELDS[root][name] : undefined
  if (field === undefined) {
    throw problem(
      at,
      `is not a path; ${hint(
        `${root}.${name}`,
        known.map((one) => `${root}.${one}`),
      )}`,
    )
  }
  if (next === undefined || field.kind === 'map') return
  const item = field.kind === 'list' && typeof next === 'number' && keys.length === 2
  if (!item) throw problem(at, `is not a path; nothing stands below \`${root}.${name}\``)
}

/** What may have been meant: a misspelt root, or an argument written without its root. */
function guess(text: string, name: string, roots: readonly Root[]): string {
  if (!/^[A-Za-z_$][\w$.-]{0,100}$/.test(text)) return ''
  const near = nearest(name, roots)
  return `; did you mean \`${near === undefined ? `args.${text}` : near + text.slice(name.length)}\`?`
}

function wordsOf(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}
