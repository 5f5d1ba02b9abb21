/** Every line that is accepted is kept, as it came. */
import { expect } from 'vitest'
import { timersLeftBy } from '../suite.ts'
import type { SinkCase } from './scene.ts'

/** What JSON text may hold as it is, and some reader somewhere takes for the end of a line or of the text. */
const ODD = [
  'Zoë, Zoe\u0308, ﬁ, ①, 価格, цена, 🧾👩🏽‍🔧, ‮reversed‬',
  'a\u2028b\u2029c\u0085d\ufeffe\u200bf\u00a0g',
  'a\u0000b\u001bc\rd\ne\tf\\g"h\u007f',
  '{"type":"intent"}\n{"v":1}',
  '%s %d {x} $1 $& \\1 \\n \\u0000',
]

export const WRITING: readonly SinkCase[] = [
  {
    title: 'lines are kept in the order written, byte for byte',
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(100)
      for (const line of lines) await scene.write(line)
      await scene.expectKept(lines)
    },
  },
  {
    title: 'a line is kept when `write` has answered, not some time later',
    async run(scene) {
      await scene.open()
      const lines: string[] = []
      for (const line of scene.pen.lines(5)) {
        lines.push(line)
        await scene.write(line)
        await scene.expectKept(lines)
      }
    },
  },
  {
    title: 'several lines in one write are kept like the same lines one by one',
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(60)
      for (let from = 0, size = 1; from < lines.length; from += size++) {
        await scene.write(lines.slice(from, from + size).join(''))
      }
      await scene.expectKept(lines)
    },
  },
  {
    title: 'lines that are equal but for their place are all kept',
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(3, 'the same')
      for (const line of lines) await scene.write(line)
      await scene.expectKept(lines)
    },
  },
  {
    title: 'text of every script is kept, and what looks like the end of a line is none',
    async run(scene) {
      await scene.open()
      const lines = ODD.map((text) => scene.pen.line(text))
      for (const line of lines) await scene.write(line)
      await scene.expectKept(lines)
    },
  },
  {
    title: 'a line of a megabyte is kept, and so is the one after it',
    async run(scene) {
      await scene.open()
      // Characters of one to four bytes: no border of a buffer falls between two of them for all.
      const lines = [scene.pen.line('aü€🧾'.repeat(100_000)), scene.pen.line('small')]
      for (const line of lines) await scene.write(line)
      await scene.expectKept(lines)
    },
  },
  {
    title: 'a thousand lines in one write are kept',
    async run(scene) {
      await scene.open()
      // As many as the trail keeps for a sink that was down.
      const lines = scene.pen.lines(1_000)
      await scene.write(lines.join(''))
      await scene.expectKept(lines)
    },
  },
  {
    title: 'it may be opened again before its first line: an answer may have been lost',
    async run(scene) {
      await scene.open()
      await scene.open()
      const lines = scene.pen.lines(2)
      for (const line of lines) await scene.write(line)
      await scene.expectKept(lines)
    },
  },
]

export const ENDING: readonly SinkCase[] = [
  {
    title: 'what was written is kept after `flush`, and `flush` with nothing to do is no error',
    needs: ['flush'],
    async run(scene) {
      await scene.open()
      await scene.sink.flush?.()
      const lines = scene.pen.lines(2)
      await scene.write(lines.join(''))
      await scene.sink.flush?.()
      await scene.sink.flush?.()
      await scene.expectKept(lines)
    },
  },
  {
    title: 'what was written is kept after `close`',
    needs: ['close', 'stored'],
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(20)
      for (const line of lines) await scene.write(line)
      await scene.sink.close?.()
      await scene.expectKept(lines)
    },
  },
  {
    title: 'closing twice is no error, nor is closing what was never opened',
    needs: ['close'],
    async run(scene) {
      await scene.sink.close?.()
      await scene.open()
      await scene.write(scene.pen.line())
      await scene.sink.close?.()
      await scene.sink.close?.()
    },
  },
  {
    title: 'after `close` a write is refused',
    needs: ['close'],
    async run(scene) {
      await scene.open()
      const line = scene.pen.line()
      await scene.write(line)
      await scene.sink.close?.()
      await scene.refused(scene.pen.line())
      if (scene.opened.stored) await scene.expectKept([line])
    },
  },
  {
    title: 'no timer and no listener of the process is left after `close`',
    needs: ['close'],
    async run(scene) {
      const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
      const before = listeners()
      const timers = await timersLeftBy(async () => {
        await scene.open()
        for (const line of scene.pen.lines(3)) await scene.write(line)
        await scene.sink.flush?.()
        await scene.sink.close?.()
      })
      expect({ timers, listeners: listeners() }).toEqual({ timers: 0, listeners: before })
    },
  },
]
