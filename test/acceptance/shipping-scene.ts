/** Sinks and collectors for the tests of shipping, closed and removed when a test is over. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HttpSink, type HttpSinkOptions, httpSink } from '@haldir/core/sinks/http'
import { afterEach } from 'vitest'
import { Collector, type Handler, Kept } from '../collectors/collector.ts'

const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

export async function collector(handler: Handler): Promise<Collector> {
  const made = await new Collector(handler).listen()
  closing.push(() => made.close())
  return made
}

/** A collector that keeps lines, and tells repeated requests apart by their id. */
export async function keeping(): Promise<{ at: Collector; kept: Kept }> {
  const kept = new Kept()
  return { at: await collector((received) => kept.add(received)), kept }
}

/** A sink that sends to it, quickly, and is open. */
export function opened(to: Collector | string, options: Partial<HttpSinkOptions> = {}, writer = 'w1'): HttpSink {
  const url = typeof to === 'string' ? to : to.url()
  const host = new URL(url).host
  const sink = httpSink({
    url,
    required: false,
    privateHosts: [host],
    batch: { every: '5ms', ...options.batch },
    backoff: { first: 1, most: 5 },
    deadline: '10s',
    ...Object.fromEntries(Object.entries(options).filter(([key]) => key !== 'batch')),
  })
  closing.push(() => sink.close())
  sink.open?.(writer)
  return sink
}

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'haldir-shipping-'))
  closing.push(() => rmSync(made, { recursive: true, force: true }))
  return join(made, 'spool')
}

/** What stands in a spool folder: names of what is in it, and the text of every file. */
export function textIn(path: string): string {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => readFileSync(join(one.parentPath, one.name), 'utf8'))
    .join('\n')
}
