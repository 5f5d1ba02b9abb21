import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createHaldir, governed } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { verifyFiles } from '@haldir/core/verify'
import { afterEach, describe, expect, it } from 'vitest'
import { Program, scratch } from './process.ts'
import { auditFiles, recorded } from './records.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** Opens an audit folder as the next start does, and closes it in good order. */
async function nextStart(directory: string): Promise<void> {
  const haldir = createHaldir({ sinks: [fileSink(directory)] })
  await haldir.createSession({ agent: 'next', scopes: ['read'] })
  await haldir.close()
}

describe("a dead writer's file", { timeout: 240_000 }, () => {
  it('is put right and the cut recorded, wherever in its last two lines it was torn', async () => {
    const folder = scratch()
    cleanup.push(folder.remove)
    const [store, audit] = [folder.path('haldir.db'), folder.path('audit')]
    const haldir = createHaldir({ store: sqliteStore(store), sinks: [fileSink(folder.path('own'))] })
    cleanup.push(() => haldir.close())
    const session = await haldir.createSession({ agent: 'worker', scopes: ['spend:1000'] })
    const worker = new Program('work', { store, audit, token: session.token, holdFor: '1m' })
    cleanup.push(() => worker.kill())
    await worker.said('done', 3)
    await worker.kill()

    const [file = ''] = auditFiles(audit)
    const whole = readFileSync(folder.path('audit', file), 'utf8')
    const text = whole.slice(0, whole.lastIndexOf('\n') + 1)
    const lines = text.split('\n').slice(0, -1)
    const start = Buffer.byteLength(
      lines
        .slice(0, -2)
        .map((line) => `${line}\n`)
        .join(''),
    )
    const middle = start + Buffer.byteLength(`${lines.at(-2)}\n`)
    const end = Buffer.byteLength(text)
    expect(end - start).toBeGreaterThan(400)

    for (let offset = start; offset <= end; offset++) {
      const directory = folder.path(`torn-${offset}`)
      mkdirSync(directory)
      for (const name of readdirSync(audit)) copyFileSync(folder.path('audit', name), `${directory}/${name}`)
      truncateSync(`${directory}/${file}`, offset)
      await nextStart(directory)

      const kept = offset === end ? end : offset >= middle ? middle : start
      expect(readFileSync(`${directory}/${file}`, 'utf8')).toBe(Buffer.from(text).toString('utf8', 0, kept))
      const recoveries = recorded(directory).filter(({ type }) => type === 'recovery')
      const writer = file.slice('audit-'.length, -'-1.jsonl'.length)
      const cut = { writer, file, bytes: offset - kept }
      expect(recoveries.map(({ data }) => data)).toEqual(offset === kept ? [] : [cut])
      expect((await verifyFiles(directory)).problems).toEqual([])
    }
  })

  it('is put right wherever it was torn, also when its last two lines stand in two files', async () => {
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const haldir = createHaldir({ sinks: [fileSink(audit, { rotate: { size: 1_024 } })] })
    const session = await haldir.createSession({ agent: 'worker', scopes: ['read'] })
    const read = governed(async () => 'read', { name: 'read', scope: 'read' }, { haldir, session })
    await read()
    await read()
    await haldir.close()
    const files = auditFiles(audit)
    files.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    const texts = files.map((name) => readFileSync(folder.path('audit', name)))
    const ends = texts.map((text) => text.lastIndexOf(10, -2) + 1)
    expect(files.length).toBeGreaterThan(2)

    // As if it had died at any byte of the last line of one file, or of the last of the file before.
    for (const last of [files.length - 1, files.length - 2]) {
      const [file, text, start] = [files[last] as string, texts[last] as Buffer, ends[last] as number]
      for (let offset = start; offset <= text.length; offset++) {
        const directory = folder.path(`torn-${last}-${offset}`)
        mkdirSync(directory)
        for (const name of files.slice(0, last)) copyFileSync(folder.path('audit', name), `${directory}/${name}`)
        writeFileSync(`${directory}/${file}`, text.subarray(0, offset))
        await nextStart(directory)
        const kept = offset === text.length ? offset : start
        expect(readFileSync(`${directory}/${file}`)).toEqual(text.subarray(0, kept))
        const recoveries = recorded(directory).filter(({ type }) => type === 'recovery')
        expect(recoveries.map(({ data }) => data.bytes)).toEqual(offset === kept ? [] : [offset - kept])
        expect((await verifyFiles(directory)).problems).toEqual([])
      }
    }
  })

  it('is left as it is when another one follows it: that is no death, but damage', async () => {
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const haldir = createHaldir({ sinks: [fileSink(audit, { rotate: { size: 1_024 } })] })
    await haldir.createSession({ agent: 'worker', scopes: ['read'] })
    await haldir.createSession({ agent: 'worker', scopes: ['read'] })
    await haldir.close()
    const first = auditFiles(audit).find((name) => name.endsWith('-1.jsonl')) as string
    const { size } = statSync(folder.path('audit', first))
    truncateSync(folder.path('audit', first), size - 10)
    await nextStart(audit)
    expect(statSync(folder.path('audit', first)).size).toBe(size - 10)
    expect(recorded(audit, first).some(({ type }) => type === 'recovery')).toBe(false)
    expect((await verifyFiles(audit)).problems.map(({ kind }) => kind)).toContain('torn')
  })

  it('is left empty when not even its first line was finished', async () => {
    const folder = scratch()
    cleanup.push(folder.remove)
    mkdirSync(folder.path('audit'))
    writeFileSync(folder.path('audit', 'audit-dead-1.jsonl'), '{"v":1,"id":"dead:0","wri')
    await nextStart(folder.path('audit'))
    expect(readFileSync(folder.path('audit', 'audit-dead-1.jsonl'), 'utf8')).toBe('')
    const cut = { writer: 'dead', file: 'audit-dead-1.jsonl', bytes: 25 }
    expect(recorded(folder.path('audit')).find(({ type }) => type === 'recovery')?.data).toEqual(cut)
    expect((await verifyFiles(folder.path('audit'))).ok).toBe(true)
  })
})

describe("a live writer's file", { timeout: 240_000 }, () => {
  it('is not touched by another process that opens the folder, until its writer is dead', async () => {
    const folder = scratch()
    cleanup.push(folder.remove)
    const audit = folder.path('audit')
    const writer = new Program('write', { audit })
    cleanup.push(() => writer.kill())
    await writer.said('ready')
    const [file = ''] = auditFiles(audit)
    const before = readFileSync(`${audit}/${file}`, 'utf8')
    expect(before.endsWith('\n')).toBe(false)
    const lock = readdirSync(audit).filter((name) => name.endsWith('.lock'))

    await nextStart(audit)
    expect(readFileSync(`${audit}/${file}`, 'utf8')).toBe(before)
    expect(readdirSync(audit).filter((name) => name.endsWith('.lock'))).toEqual(lock)
    expect(recorded(audit).some(({ type }) => type === 'recovery')).toBe(false)

    await writer.kill()
    await nextStart(audit)
    expect(readFileSync(`${audit}/${file}`, 'utf8')).toBe(before.slice(0, before.lastIndexOf('\n') + 1))
    expect(recorded(audit).filter(({ type }) => type === 'recovery')).toHaveLength(1)
    const { problems, writers } = await verifyFiles(audit)
    expect(problems).toEqual([])
    expect(writers).toHaveLength(3)
  })
})
