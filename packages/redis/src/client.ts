/** What the store asks of a Redis client, and how ioredis is asked. */
import { ConfigError } from '@haldir/core/store'
import type { Script } from './lua/scripts.ts'

/**
 * Any client, wrapped. What it rejects with is a failure of the store; its text goes nowhere. Commands must be sent in
 * the order in which they are given, over one connection (to each server), without waiting for one another.
 */
export interface RedisClient {
  /** `EVAL script <number of keys> ...keys ...args`; it may send `EVALSHA` and fall back. Numbers, texts, `null`, lists. */
  eval(script: string, keys: readonly string[], args: readonly string[]): PromiseLike<unknown>
  /** Listens to a channel, on a connection of its own; answers how to stop. Without it the store has no `watch`. */
  subscribe?(channel: string, onMessage: (message: string) => void): PromiseLike<() => unknown>
  /** The text of `INFO memory`, or of each server that is written to. Without it `evictionOk` has to be said. */
  info?(): PromiseLike<string | readonly string[]>
}

/** What is used of `Redis` and of `Cluster` of ioredis, from 5.4 on. */
export interface IoredisClient {
  eval(script: string, keys: number, ...rest: string[]): Promise<unknown>
  evalsha(sha: string, keys: number, ...rest: string[]): Promise<unknown>
  info(...section: string[]): Promise<string>
  duplicate(): IoredisClient
  on(event: string, listener: (...args: any[]) => void): unknown
  off(event: string, listener: (...args: any[]) => void): unknown
  subscribe(...channels: string[]): Promise<unknown>
  disconnect(): void
  /** Of a `Cluster`. */
  nodes?(role: 'master'): IoredisClient[]
  readonly options?: { readonly keyPrefix?: string | undefined }
}

/** A connection, whoever's it is. */
export interface Connection {
  run(script: Script, key: string, args: readonly string[]): PromiseLike<unknown>
  /** Undefined: it can't be told. */
  info(): PromiseLike<readonly string[]> | undefined
  /** Calls back each time that commands may go to another server, or to one that has begun anew; answers how to stop. */
  renewed(listener: () => void): () => void
  /** `again`: hints may have been lost. Undefined: it can't listen. */
  readonly listen: ((channel: string, message: (text: string) => void, again: () => void) => () => void) | undefined
}

export function connectionOf(client: RedisClient | IoredisClient): Connection {
  const shape = client as Partial<IoredisClient> & { readonly evalSha?: unknown }
  if (typeof shape?.evalsha === 'function' && typeof shape.duplicate === 'function') {
    return overIoredis(client as IoredisClient)
  }
  if (typeof shape?.eval !== 'function' || shape.evalSha !== undefined) {
    const remedy = 'is an ioredis client, or an object with `eval(script, keys, args)`: other clients are wrapped'
    throw new ConfigError('invalid-option', 'client', `the client of \`redisStore\` ${remedy}`)
  }
  return overAny(client as RedisClient)
}

function overAny(client: RedisClient): Connection {
  return {
    run: ({ text }, key, args) => client.eval(text, [key], args),
    info: () => client.info?.().then((texts) => (typeof texts === 'string' ? [texts] : texts)),
    renewed: () => () => {},
    listen:
      client.subscribe &&
      ((channel, message, again) => {
        let stopped = false
        let stop: (() => unknown) | undefined
        client.subscribe?.(channel, message).then(
          (end) => {
            stop = end
            if (stopped) quietly(end)
            else again()
          },
          () => {},
        )
        return () => {
          stopped = true
          if (stop) quietly(stop)
        }
      }),
  }
}

/** A connection is lost, or there again; a cluster has found another server. */
const RENEWED = ['close', 'ready', '+node']

function overIoredis(client: IoredisClient): Connection {
  if (client.options?.keyPrefix) {
    throw new ConfigError('invalid-option', 'client', '`keyPrefix` of ioredis is not for this store: it has `prefix`')
  }
  const sent = new Set<string>()
  return {
    run({ text, sha }, key, args) {
      // Whole the first time, without waiting for what becomes of it: so the order of commands is kept.
      if (!sent.has(sha)) {
        sent.add(sha)
        return client.eval(text, 1, key, ...args)
      }
      return client.evalsha(sha, 1, key, ...args).catch((error) => {
        if (!String((error as Error | null)?.message).startsWith('NOSCRIPT')) throw error
        return client.eval(text, 1, key, ...args)
      })
    },
    info: async () => {
      if (!client.nodes) return [await client.info('memory')]
      // A cluster that has not connected yet knows none of its servers: this waits for it.
      if (client.nodes('master').length === 0) await client.info('memory')
      return Promise.all(client.nodes('master').map((server) => server.info('memory')))
    },
    renewed(listener) {
      const renewed = () => {
        // A server that has begun anew knows no script.
        sent.clear()
        listener()
      }
      for (const event of RENEWED) client.on(event, renewed)
      return () => {
        for (const event of RENEWED) client.off(event, renewed)
      }
    },
    listen(channel, message, again) {
      const own = client.duplicate()
      own.on('error', () => {})
      own.on('message', (from: string, text: string) => {
        if (from === channel) message(text)
      })
      // ioredis subscribes again by itself; what was said meanwhile is lost.
      own.on('ready', again)
      own.subscribe(channel).catch(() => {})
      return () => own.disconnect()
    },
  }
}

function quietly(end: () => unknown): void {
  void (async () => end())().catch(() => {})
}
