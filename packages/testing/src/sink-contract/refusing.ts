/** What can't be kept is refused, so that the call it tells of does not run. */
import { expect } from 'vitest'
import type { SinkCase } from './scene.ts'

export const REFUSING: readonly SinkCase[] = [
  {
    title: 'what can not be stored is refused, and not one byte of it is kept',
    needs: ['break'],
    async run(scene) {
      await scene.open()
      const line = scene.pen.line()
      await scene.write(line)
      await scene.break()
      await scene.refused(scene.pen.line())
      await scene.mend()
      await scene.expectKept([line])
    },
  },
  {
    title: 'several lines in one write are refused as a whole',
    needs: ['break'],
    async run(scene) {
      await scene.open()
      const line = scene.pen.line()
      await scene.write(line)
      await scene.break()
      await scene.refused(scene.pen.lines(50).join(''))
      await scene.mend()
      await scene.expectKept([line])
    },
  },
  {
    title: 'it goes on refusing for as long as nothing can be stored',
    needs: ['break'],
    async run(scene) {
      await scene.open()
      await scene.break()
      const lines = scene.pen.lines(5)
      for (const [index] of lines.entries()) await scene.refused(lines.slice(0, index + 1).join(''))
      await scene.mend()
      await scene.expectKept([])
    },
  },
  {
    title: 'what was refused is accepted when it is offered again, with what has come since, and stands there once',
    needs: ['break'],
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(30)
      await scene.write(lines[0] as string)
      for (const round of [1, 11, 21]) {
        await scene.break()
        await scene.refused(lines[round] as string)
        await scene.refused(lines.slice(round, round + 9).join(''))
        await scene.mend()
        await scene.write(lines.slice(round, round + 9).join(''))
        // One that was never refused, behind it.
        if (round < 21) await scene.write(lines[round + 9] as string)
      }
      await scene.expectKept(lines)
    },
  },
  {
    title: 'a sink that can not be opened says so, and can be opened later',
    needs: ['break', 'open'],
    async run(scene) {
      await scene.break()
      const line = scene.pen.line()
      // One that opens without what it writes to must refuse the write.
      const opened = await scene.open().then(
        () => true,
        () => false,
      )
      if (opened) await scene.refused(line)
      await scene.mend()
      await scene.open()
      await scene.write(line)
      await scene.expectKept([line])
    },
  },
]

export const READING: readonly SinkCase[] = [
  {
    title: 'every line is read back under its writer, in order, from a place of its own',
    needs: ['read'],
    async run(scene) {
      await scene.open()
      expect(await scene.read()).toEqual([])
      const lines = scene.pen.lines(200)
      for (const line of lines) await scene.write(line)
      const read = await scene.read()
      expect(read.map(({ line }) => `${line}\n`)).toEqual(lines)
      expect(new Set(read.map(({ writer }) => writer))).toEqual(new Set(['w1']))
      expect(new Set(read.map(({ place }) => place)).size).toBe(lines.length)
      expect(read.some(({ torn, resumes }) => torn || resumes)).toBe(false)
    },
  },
  {
    title: 'what is read back is what is stored',
    needs: ['read', 'stored'],
    async run(scene) {
      await scene.open()
      for (const line of scene.pen.lines(20, 'aü€🧾ﬁ①\u2028')) await scene.write(line)
      const read = (await scene.read()).map(({ line }) => `${line}\n`)
      await scene.expectKept(read)
      expect(read).toHaveLength(20)
    },
  },
  {
    title: 'reading and writing do not disturb each other, and a reader may stop early',
    needs: ['read'],
    async run(scene) {
      await scene.open()
      const lines = scene.pen.lines(100)
      const read: string[] = []
      await scene.write(lines.slice(0, 50).join(''))
      for await (const { line } of scene.sink.read?.() ?? []) {
        read.push(`${line}\n`)
        if (read.length === 10) for (const more of lines.slice(50)) await scene.write(more)
      }
      // It may or may not see what came meanwhile, but nothing twice and nothing out of order.
      expect(read).toEqual(lines.slice(0, read.length))
      expect(read.length).toBeGreaterThanOrEqual(50)
      for (let times = 0; times < 20; times++) {
        for await (const { line } of scene.sink.read?.() ?? []) {
          expect(`${line}\n`).toBe(lines[0])
          break
        }
      }
      await scene.expectKept(lines)
    },
  },
]
