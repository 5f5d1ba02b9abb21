/** Opens an audit folder, makes one call, and stops in the middle of writing the next line. */
import { appendFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createHaldir, governed } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { input, say, told } from './speak.ts'

const { audit } = input<{ audit: string }>()
const haldir = createHaldir({ sinks: [fileSink(audit)] })
const session = await haldir.createSession({ agent: 'first', scopes: ['read'] })
const read = governed(async () => 'read', { name: 'read', scope: 'read' }, { haldir, session })
await read()
const [file] = readdirSync(audit).filter((name) => name.endsWith('.jsonl'))
appendFileSync(join(audit, file as string), '{"v":1,"id":"half a li')
say('ready')
await told('go on')
