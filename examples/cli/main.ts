/** A command line agent. The account of its calls goes to standard error, its answer to standard output. */
import { parseArgs } from 'node:util'
import { ConfigError, createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { prettySink } from '@haldir/core/sinks/pretty'
import { generateText, stepCountIs } from 'ai'
import { model } from './model.ts' // yours; here one that says what it was told to
import { tools } from './tools.ts'

const USAGE = `Usage: main.ts [--budget 50] [--shadow] [--audit folder] [prompt]

  --budget   how many dollars it may spend
  --shadow   refuse nothing, and show what would have been refused
  --audit    the folder that the trail goes to

Ends with 0 when all is done, 1 when something failed, 2 when it was told nonsense,
3 when a call was refused, 130 on Ctrl-C.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  let options: ReturnType<typeof read>
  try {
    options = read(args)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  return pay(options)
}

function read(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      budget: { type: 'string', default: '50' },
      shadow: { type: 'boolean', default: false },
      audit: { type: 'string', default: 'audit' },
      help: { type: 'boolean', default: false },
    },
  })
  return { ...values, prompt: positionals.join(' ') || 'Pay every open invoice.' }
}

// #region readme
async function pay({ budget, shadow, audit, prompt }: ReturnType<typeof read>): Promise<number> {
  const haldir = createHaldir({ mode: shadow ? 'shadow' : 'enforce', sinks: [fileSink(audit), prettySink()] })
  const scopes = ['invoices:read', `spend:${budget}`]
  let revoked: Promise<void> | undefined
  try {
    const session = await haldir.createSession({ agent: 'bookkeeper', scopes, ttl: '10m' })
    // Ctrl-C takes the leave to act away: nothing else begins, and what runs is told to stop.
    process.once('SIGINT', () => {
      revoked = session.revoke('interrupted at the keyboard')
    })
    const { text } = await session.run(() =>
      generateText({ model, tools, prompt, stopWhen: stepCountIs(10), abortSignal: session.signal }),
    )
    await session.revoke('done')
    console.log(text)

    let refused = 0
    for await (const { enforced } of haldir.trail.query({ session: session.id, type: 'refusal' })) {
      if (enforced) refused++
    }
    return refused > 0 ? 3 : 0
  } catch (error) {
    if (revoked) return await revoked.then(() => 130)
    console.error(error instanceof Error ? error.message : error)
    return ConfigError.isInstance(error) ? 2 : 1
  } finally {
    await haldir.close()
  }
}
// #endregion readme
