/** Starts programs as a user's shell would: without what npm, pnpm and vitest leave in the environment. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export const root = new URL('../..', import.meta.url).pathname

const OURS =
  /^(npm_(package|lifecycle|command|execpath|node_execpath|config_(user_agent|local_prefix))|VITEST|NODE_(ENV|OPTIONS)$|INIT_CWD)/i

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export function run(command: string, args: readonly string[], cwd: string): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)))
  const child = spawn(command, args, { cwd, env: { ...env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (status) => resolve({ status, ...out }))
  })
}

/** The same, of which anything but success is an error that shows what was printed. */
export async function succeed(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, cwd)
  if (status !== 0) throw new Error(`\`${command} ${args.join(' ')}\` ended with ${status}\n${stdout}\n${stderr}`)
  return stdout
}

const { packageManager } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { packageManager: string }

/** How the pinned pnpm is called where none is installed: `npm run setup` has fetched it, so no registry is asked again. */
export const PNPM: readonly string[] = ['--yes', '--prefer-offline', packageManager]
