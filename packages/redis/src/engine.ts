/** Sends scripts: first asks whether the server may be used, then one after the other, without waiting. */
import { Unavailable } from '@haldir/core/store'
import type { Connection } from './client.ts'
import { failure, unexpected } from './failures.ts'
import { clockKey, tenantsKey } from './keys.ts'
import { SCRIPTS, type ScriptName } from './lua/scripts.ts'
import type { Moments } from './moments.ts'
import { maybe, type Reply, replyFrom, texts, whole } from './replies.ts'

interface Waiting {
  go(): void
  refuse(error: unknown): void
}

/** How often a verb is sent again with other names of windows before it is given up. */
const TURNS = 4

export class Engine {
  readonly prefix: string
  readonly moments: Moments
  readonly #connection: Connection
  readonly #evictionOk: boolean
  #checked = false
  #checking = false
  /** Counts connections: a check that began on another one says nothing of this one. */
  #renewals = 0
  #begun = false
  #waiting: Waiting[] = []
  readonly #forsake: () => void

  constructor(connection: Connection, prefix: string, moments: Moments, evictionOk: boolean) {
    this.#connection = connection
    this.prefix = prefix
    this.moments = moments
    this.#evictionOk = evictionOk
    this.#forsake = connection.renewed(() => this.#doubt())
    // A clock of ours goes on from where the store's time was when this began, so that is asked at once.
    if (moments.isOwn) void this.#check()
  }

  /** Leaves the client alone, which is not ours to close. */
  close(): void {
    this.#forsake()
  }

  /** Runs a script of a tenant. Sent in this very turn, if the server is known to be sound. */
  async ask(name: ScriptName, tenant: string, args: readonly string[]): Promise<Reply> {
    const key = clockKey(this.prefix, tenant)
    const reply = replyFrom(await this.#pass(() => this.#send(name, key, [this.moments.sent(), ...args])))
    this.moments.learn(reply.now)
    return reply
  }

  /**
   * The same for a verb that names windows: `args` makes its arguments for a moment. When the server's time has
   * another window, the verb has done nothing and is sent again for the time that the server has said.
   */
  async askAt(name: ScriptName, tenant: string, args: (now: number) => readonly string[]): Promise<Reply> {
    const key = clockKey(this.prefix, tenant)
    let at: number | undefined
    for (let turn = 0; turn < TURNS; turn++) {
      const send = () => this.#send(name, key, [this.moments.sent(), ...args(at ?? this.moments.estimate())])
      const reply = replyFrom(await this.#pass(send))
      this.moments.learn(reply.now)
      if (reply.said !== 'edge') return reply
      at = reply.now
    }
    throw new Unavailable('the names of windows did not fit the time of Redis')
  }

  /** Runs a script of one key that is no tenant's. */
  plain(name: ScriptName, key: string, args: readonly string[] = []): Promise<unknown> {
    return this.#pass(() => this.#send(name, key, args))
  }

  async #send(name: ScriptName, key: string, args: readonly string[]): Promise<unknown> {
    try {
      return await this.#connection.run(SCRIPTS[name], key, args)
    } catch (error) {
      const failed = failure(error)
      // Perhaps it is another server by now.
      if (!/`ERR`/.test(failed.message)) this.#doubt()
      throw failed
    }
  }

  #pass<T>(send: () => Promise<T>): Promise<T> {
    if (this.#checked) return send()
    const answer = new Promise<T>((resolve, refuse) => {
      this.#waiting.push({ go: () => void send().then(resolve, refuse), refuse })
    })
    if (!this.#checking) void this.#check()
    return answer
  }

  #doubt(): void {
    this.#checked = false
    this.#renewals++
  }

  /** Everything that waits is sent, in order, or refused: each verb, not only the first. */
  async #check(): Promise<void> {
    this.#checking = true
    const renewals = this.#renewals
    try {
      await Promise.all([this.#hello(), this.#evictionOk || this.#refuseEviction()])
    } catch (error) {
      this.#checking = false
      for (const { refuse } of this.#waiting.splice(0)) refuse(failure(error))
      return
    }
    this.#checking = false
    if (renewals !== this.#renewals) {
      if (this.#waiting.length > 0) void this.#check()
      return
    }
    this.#checked = true
    for (const { go } of this.#waiting.splice(0)) go()
  }

  async #hello(): Promise<void> {
    const { run } = this.#connection
    this.moments.learn(whole(await run(SCRIPTS.hello, tenantsKey(this.prefix), [])))
    if (!this.moments.isOwn || this.#begun) return
    const tenants = texts(await run(SCRIPTS.tenants, tenantsKey(this.prefix), []))
    const times = await Promise.all(tenants.map((one) => run(SCRIPTS.look, clockKey(this.prefix, one), [])))
    this.moments.goOn(Math.max(0, ...times.map((time) => maybe(time, whole) ?? 0)))
    this.#begun = true
  }

  /** Invariant: what is evicted was never refused: a meter that is gone without a word would be a new one. */
  async #refuseEviction(): Promise<void> {
    const remedy = 'set it to `noeviction`, or say `evictionOk: true`'
    const info = await this.#connection.info()
    if (info === undefined) throw new Unavailable(`the \`maxmemory-policy\` of Redis can't be told: ${remedy}`)
    for (const text of info) {
      if (typeof text !== 'string') throw unexpected()
      const policy = /^maxmemory_policy:\s*(\S+)/m.exec(text)?.[1]
      if (policy === undefined) throw new Unavailable(`the \`maxmemory-policy\` of Redis can't be told: ${remedy}`)
      if (policy !== 'noeviction') throw new Unavailable(`the \`maxmemory-policy\` of Redis may evict: ${remedy}`)
    }
  }
}
