/** Policies and tables of tests that stand in files. */
import { open } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigError } from './errors.ts'
import { type CompiledPolicy, compilePolicy } from './gate/policy/compile.ts'
import type { Policy } from './gate/policy/policy.ts'
import { checkPolicyTests, type PolicyReport, type PolicyTest, testPolicy } from './gate/policy/trial.ts'
import { checkKeys } from './options.ts'
import { PolicyDocument } from './policy-document.ts'

const MOST_BYTES = 5 * 1024 * 1024

/**
 * Reads a policy from a file: JSON when its name ends in `.json`, else YAML 1.2. Throws `ConfigError`: with code
 * `invalid-option` when there is no such file, with `invalid-policy`, line, column and the place in the document when
 * anything in it is not as it must be.
 */
export async function readPolicy(path: string | URL): Promise<Policy> {
  return (await readCompiled(path)).policy
}

/** What a file of tests holds. */
export interface PolicyTests {
  /** The policy's file, as an absolute path, if the tests name one. */
  readonly policy?: string
  readonly tests: readonly PolicyTest[]
  /** The time at which calls are judged whose test names none. */
  readonly at?: string
}

/** Reads a table of tests: `tests`, and `policy`, the path of the policy's file from there on. Throws `ConfigError`. */
export async function readPolicyTests(path: string | URL): Promise<PolicyTests> {
  const file = fileOf(path)
  const document = new PolicyDocument(await readText(file), formatOf(file), 'the file of tests')
  try {
    const { data } = document
    checkKeys(data, ['$schema', 'policy', 'tests', 'at'], 'members of a file of policy tests')
    const { policy, tests, at } = data as { policy?: unknown; tests?: unknown; at?: unknown }
    if (policy !== undefined && (typeof policy !== 'string' || policy === '')) {
      throw new ConfigError('invalid-option', 'policy', '`policy` is the path of a file')
    }
    const checked = checkPolicyTests(tests, at)
    return {
      tests: checked,
      ...(policy === undefined ? {} : { policy: resolve(dirname(file), policy) }),
      ...(at === undefined ? {} : { at: at as string }),
    }
  } catch (error) {
    throw document.located(error)
  }
}

/** Runs the tests of a file on the policy it names, or on another. Throws `ConfigError` when either can't be read. */
export async function testPolicyFile(
  path: string | URL,
  options: { policy?: string | URL } = {},
): Promise<PolicyReport> {
  checkKeys(options, ['policy'], 'options of `testPolicyFile`')
  const { policy, tests, at } = await readPolicyTests(path)
  const file = options.policy ?? policy
  if (file === undefined) {
    throw new ConfigError('invalid-option', 'policy', '`policy` is missing; the tests name no file, nor do the options')
  }
  return testPolicy(await readPolicy(file), tests, at === undefined ? {} : { at })
}

/** @internal The same, with what `watchPolicy` needs to tell editions apart. */
export async function readCompiled(path: string | URL): Promise<CompiledPolicy> {
  const file = fileOf(path)
  return compileText(await readText(file), file)
}

/** @internal */
export function compileText(text: string, file: string): CompiledPolicy {
  const document = new PolicyDocument(text, formatOf(file), 'the policy')
  try {
    return compilePolicy(document.data as Policy)
  } catch (error) {
    throw document.located(error)
  }
}

/** @internal The path of a file; throws for what is none. */
export function fileOf(path: string | URL): string {
  try {
    if (path instanceof URL) return fileURLToPath(path)
  } catch {}
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return resolve(path)
  throw new ConfigError('invalid-option', 'path', '`path` is the path of a file')
}

/** @internal The whole text of a file. Throws `ConfigError` when there is none, or too much of it. */
export async function readText(file: string): Promise<string> {
  const bytes = await readBytes(file)
  if (bytes === undefined) throw new ConfigError('invalid-option', 'path', '`path` is not a file that can be read')
  if (bytes.length > MOST_BYTES)
    throw new ConfigError('invalid-policy', '', `\`${basename(file)}\` is larger than 5 MB`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ConfigError('invalid-policy', '', `\`${basename(file)}\` is not UTF-8 text`)
  }
}

/** Everything, or one byte more than may be; `undefined` when it can't be read. A pipe or a device would never end. */
async function readBytes(file: string): Promise<Buffer | undefined> {
  try {
    // No `await using`: Node 22 does not know it, and runs this file as it stands in tests.
    const handle = await open(file, 'r')
    try {
      if (!(await handle.stat()).isFile()) return undefined
      const chunks: Buffer[] = []
      // `end` is the last byte that is read: one more than may be.
      for await (const chunk of handle.createReadStream({ end: MOST_BYTES, autoClose: false })) chunks.push(chunk)
      return Buffer.concat(chunks)
    } finally {
      await handle.close()
    }
  } catch {
    return undefined
  }
}

function formatOf(file: string): 'yaml' | 'json' {
  return extname(file).toLowerCase() === '.json' ? 'json' : 'yaml'
}
