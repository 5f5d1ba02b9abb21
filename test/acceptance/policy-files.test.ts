/** Policies in files, as a user has them: read, tested, watched, and tested from a shell. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '@haldir/core'
import {
  checkPolicy,
  compilePolicy,
  explainPolicy,
  formatExplanation,
  type Policy,
  readPolicy,
  readPolicyTests,
  testPolicyFile,
  watchPolicy,
} from '@haldir/core/policy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const example = join(root, 'examples/policy/haldir.policy.yaml')
const table = join(root, 'examples/policy/haldir.policy.test.yaml')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'haldir-policy-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string | Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

async function refusal(work: Promise<unknown>): Promise<ConfigError> {
  const error = await work.then(() => new Error('nothing was refused')).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(ConfigError)
  return error as ConfigError
}

const string = { type: 'string' }
const object = (properties: object, required: readonly string[]) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const order = { order: { type: 'integer' }, customer: string }
const TOOLS = [
  { name: 'read_order', schema: object(order, ['order', 'customer']) },
  { name: 'cancel_order', schema: object(order, ['order', 'customer']) },
  {
    name: 'refund',
    schema: object({ ...order, amount: { type: 'number' }, currency: { enum: ['EUR', 'USD'] }, reason: string }, [
      'order',
      'customer',
      'amount',
      'currency',
    ]),
  },
  { name: 'change_address', schema: object({ ...order, country: string }, ['order', 'customer', 'country']) },
  { name: 'send_mail', schema: object({ to: { type: 'array', items: string }, body: string }, ['to']) },
]

describe('the example', () => {
  it('passes its tests, and each of its rules decides one of them', async () => {
    const report = await testPolicyFile(table)
    expect(report.ok, String(report)).toBe(true)
    const { rules } = await readPolicy(example)
    const decided = new Set(report.results.map(({ got }) => got.rule))
    expect(rules.map(({ id }) => id).filter((id) => !decided.has(id))).toEqual([])
  })

  it('has no problems with the tools it is for', async () => {
    expect(checkPolicy(await readPolicy(example), { tools: TOOLS })).toEqual({ ok: true, problems: [] })
  })

  it('does not pass with any rule left out', async () => {
    const { tests } = await readPolicyTests(table)
    const policy = await readPolicy(example)
    for (const { id } of policy.rules) {
      const without: Policy = { ...policy, rules: policy.rules.filter((rule) => rule.id !== id) }
      const file = write('without.json', JSON.stringify(without))
      expect((await testPolicyFile(table, { policy: file })).ok, id).toBe(false)
    }
    expect(tests.length).toBeGreaterThan(policy.rules.length)
  })

  it('can say why', async () => {
    const compiled = compilePolicy(await readPolicy(example))
    const explanation = explainPolicy(compiled, {
      args: { customer: 'c-7', amount: 100.01, currency: 'EUR', reason: 'broken' },
      session: { id: 's', agent: 'a', tenant: 't', scopes: [], attributes: { customer: 'c-7' }, depth: 0 },
      tool: {
        name: 'refund',
        framework: 'core',
        readOnly: false,
        destructive: true,
        idempotent: false,
        openWorld: true,
        labels: { money: true },
      },
      now: Date.UTC(2026, 10, 23, 10),
    })
    const text = formatExplanation(explanation)
    expect(text).toContain('ask, by the rule refund-large: refunds above 100 need a person')
    expect(text).toContain('    true    args.amount gt 100\n')
    expect(text).not.toContain('c-7')
  })
})

describe('readPolicy', () => {
  const document = { default: 'deny', rules: [{ id: 'a', then: 'allow', when: { 'args.n': { gt: 5 } } }] }

  it('reads YAML and JSON alike, by path or URL', async () => {
    const yaml = write('p.yaml', 'default: deny\nrules:\n  - id: a\n    then: allow\n    when: { args.n: { gt: 5 } }\n')
    const json = write('p.JSON', JSON.stringify(document))
    expect(await readPolicy(yaml)).toEqual(document)
    expect(await readPolicy(json)).toEqual(document)
    expect(await readPolicy(pathToFileURL(yaml))).toEqual(document)
  })

  it('names line, column and place of what is wrong, and the nearest right word', async () => {
    const file = write(
      'p.yaml',
      'default: deny\nrules:\n  - id: a\n    then: allow\n    when:\n      args.n: { gtt: 5 }\n',
    )
    const error = await refusal(readPolicy(file))
    expect(error).toMatchObject({ code: 'invalid-policy', path: 'rules.0.when.args.n.gtt' })
    expect(error.message).toMatch(
      /^line 6, column 17 of the policy: `rules\.0\.when\.args\.n\.gtt` .*did you mean `gte?`\?$/,
    )
  })

  it.each<[string, () => unknown]>([
    ['no file', () => join(folder, 'none.yaml')],
    ['a folder', () => folder],
    ['a path below a file', () => join(write('f', ''), 'x')],
    ['an empty path', () => ''],
    ['a path that is none', () => 5],
    ['a path with a zero in it', () => 'a\0b'],
    ['a URL of the web', () => new URL('https://policies.example/p.yaml')],
    ['a device, which would never end', () => '/dev/zero'],
  ])('%s can not be read', async (_, path) => {
    expect(await refusal(readPolicy(path() as string))).toMatchObject({ code: 'invalid-option', path: 'path' })
  })

  it('refuses what is too large or no text', async () => {
    expect((await refusal(readPolicy(write('big.yaml', Buffer.alloc(5 * 1024 * 1024 + 1, '#'))))).message).toContain(
      '5 MB',
    )
    expect((await refusal(readPolicy(write('bytes.yaml', Buffer.from([0x61, 0x3a, 0xff, 0xfe]))))).message).toContain(
      'UTF-8',
    )
  })
})

describe('a file of tests', () => {
  const policy = 'default: deny\nrules:\n  - { id: a, tools: x, then: allow }\n'

  it('finds its policy from where it stands, or is given another', async () => {
    const file = write('p.yaml', policy)
    const tests = 'tests: [{ tool: x, expect: allow }]\n'
    expect((await testPolicyFile(write('own.yaml', `policy: ./p.yaml\n${tests}`))).ok).toBe(true)
    expect((await testPolicyFile(write('none.yaml', tests), { policy: file })).ok).toBe(true)
    expect(await refusal(testPolicyFile(write('none.yaml', tests)))).toMatchObject({
      code: 'invalid-option',
      path: 'policy',
    })
    expect(await readPolicyTests(write('own.yaml', `policy: ./p.yaml\n${tests}`))).toEqual({
      policy: file,
      tests: [{ tool: 'x', expect: 'allow' }],
    })
  })

  it.each([
    ['a misspelt member', 'polciy: ./p.yaml\ntests: []\n', 'polciy', 'line 1, column 1'],
    ['a misspelt field', 'tests:\n  - tool: x\n    expct: allow\n', 'tests.0.expct', 'line 3, column 5'],
    ['a time that is none', 'at: noon\ntests:\n  - { tool: x, expect: allow }\n', 'at', 'line 1, column 1'],
    ['no tests', 'tests: []\n', 'tests', 'line 1, column 1'],
    ['a policy that is no path', 'policy: 5\ntests:\n  - { tool: x, expect: allow }\n', 'policy', 'line 1, column 1'],
    ['a list', '- tests\n', '', 'line 1, column 1'],
  ])('with %s is refused, with its line', async (_, text, path, place) => {
    const error = await refusal(readPolicyTests(write('t.yaml', text)))
    expect(error).toMatchObject({ code: 'invalid-option', path })
    expect(error.message).toContain(`${place} of the file of tests: `)
  })
})

it('watchPolicy hands over each sound edition of a file, and keeps the last', async () => {
  const text = (id: string) => `default: deny\nrules:\n  - { id: ${id}, tools: x, then: allow }\n`
  const file = write('p.yaml', text('one'))
  const seen: (string | undefined)[] = []
  const errors: unknown[] = []
  const watch = watchPolicy(file, ({ rules }) => void seen.push(rules[0]?.id), {
    onError: (error) => errors.push(error),
  })
  try {
    expect(await watch.reload()).toBe(true)
    write('p.yaml', 'default: allow\nrules: []\n')
    expect(await watch.reload()).toBe(false)
    expect(errors).toMatchObject([{ code: 'invalid-policy', path: 'default' }])
    write('p.yaml', text('two'))
    expect(await watch.reload()).toBe(true)
    expect(seen).toEqual(['one', 'two'])
  } finally {
    watch.stop()
  }
})

function node(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning', ...args],
    { cwd: root, encoding: 'utf8', timeout: 10_000 },
  )
  return { status, stdout, stderr }
}

it('a watch does not keep a process alive', () => {
  const program = `
    import { watchPolicy } from '@haldir/core/policy'
    const watch = watchPolicy(${JSON.stringify(example)}, ({ name }) => console.log(name))
    await watch.reload()
  `
  expect(node('--input-type=module', '-e', program)).toEqual({ status: 0, stdout: 'orders\n', stderr: '' })
})

describe('policy-test', () => {
  const main = join(root, 'packages/core/src/policy-test.ts')

  it('prints a report and ends with 0 when all is as expected', () => {
    const relative = 'examples/policy/haldir.policy.test.yaml'
    expect(node(main, relative)).toEqual({ status: 0, stdout: `${relative}: 23 tests, all as expected\n`, stderr: '' })
  })

  it('ends with 1 when a test fails, or a file can not be read, and still runs the others', () => {
    const file = write('t.yaml', `policy: ${example}\ntests: [{ name: all, tool: x, expect: allow }]\n`)
    const { status, stdout } = node(main, file, join(folder, 'none.yaml'), table)
    expect(status).toBe(1)
    expect(stdout).toBe(
      `${file}: not ok  all: expected allow, got ask by destructive (this can not be undone)\n1 test, 1 not as expected\n` +
        `${join(folder, 'none.yaml')}: \`path\` is not a file that can be read\n${table}: 23 tests, all as expected\n`,
    )
  })

  it('says how it is used', () => {
    const usage = 'usage: policy-test file.yaml ...\n'
    expect(node(main)).toEqual({ status: 2, stdout: '', stderr: usage })
    expect(node(main, '--verbose', table)).toEqual({ status: 2, stdout: '', stderr: usage })
    expect(node(main, '--help')).toEqual({ status: 0, stdout: usage, stderr: '' })
  })
})
