/** The ways to all sinks: those that must accept, and those that may lose entries. */
import type { Clock } from '../clock.ts'
import type { Recovery, Retire, Sink } from '../sinks/sink.ts'
import { Channel } from './channel.ts'

export interface ChannelsParts {
  readonly sinks: readonly Sink[]
  readonly clock: Clock
  readonly deadlineMs: number
}

export class Channels {
  readonly required: readonly Channel[]
  readonly optional: readonly Channel[]

  /** `onEnded` is called when a required sink no longer knows what it has stored. */
  constructor({ sinks, clock, deadlineMs }: ChannelsParts, onEnded: () => void) {
    const channels = sinks.map((sink) => new Channel(sink, clock, deadlineMs, onEnded))
    this.required = channels.filter((channel) => channel.required)
    this.optional = channels.filter((channel) => !channel.required)
  }

  /** A required sink has refused, or hangs. */
  get down(): boolean {
    return this.required.some(({ down }) => down)
  }

  /** How many lines wait for the required sink that lacks most. */
  get waiting(): number {
    return Math.max(0, ...this.required.map(({ waiting }) => waiting))
  }

  /** By the name of each sink that is not required. */
  get dropped(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.optional.map(({ name, dropped }) => [name, dropped]))
  }

  /** A required sink that is down, has as much waiting as it may, and does not take it now. */
  crowded(): Channel | undefined {
    for (const channel of this.required) if (channel.crowded && !channel.retry()) return channel
    return undefined
  }

  /** Opens those that are required, the others with their first line. What each has found counts, whatever the next does. */
  async open(writer: string, retire: Retire, found: Recovery[]): Promise<void> {
    for (const channel of this.required) found.push(...(await channel.open(writer, retire)))
    for (const channel of this.optional) channel.openLater(writer)
  }

  /** Resolves when every required sink has accepted all that waits. */
  async again(): Promise<void> {
    await Promise.all(this.required.map((channel) => channel.again()))
  }

  /** Resolves when every required sink has accepted all that waits, and flushed; when all have answered. */
  async flush(): Promise<void> {
    const flushed = await Promise.allSettled(this.required.map((channel) => channel.flush()))
    for (const one of flushed) if (one.status === 'rejected') throw one.reason
  }

  /** Never rejects. */
  async flushOptional(): Promise<void> {
    await Promise.allSettled(this.optional.map((channel) => channel.flush()))
  }

  /** Resolves when nothing is under way to a required sink. Throws when something hangs. */
  async idle(): Promise<void> {
    for (const channel of this.required) await channel.idle()
  }

  /** Another writer follows. */
  renew(writer: string): void {
    for (const channel of [...this.required, ...this.optional]) channel.renew(writer)
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.required, ...this.optional].map((channel) => channel.close()))
  }
}
