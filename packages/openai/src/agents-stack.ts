/** Which line of code reads something: by the stack, which is costly, so only a call that fails pays for it. */

/** Which line of code is reading something of ours, through this function. Where that can't be told, nothing. */
export function lineThatReads(through: (...args: never[]) => unknown): string | undefined {
  try {
    const { stackTraceLimit, prepareStackTrace } = Error
    try {
      Error.stackTraceLimit = 1
      Error.prepareStackTrace = place
      const here: { stack?: unknown } = {}
      Error.captureStackTrace(here, through)
      return typeof here.stack === 'string' ? here.stack : undefined
    } finally {
      Object.assign(Error, { stackTraceLimit, prepareStackTrace })
    }
  } catch {
    return undefined
  }
}

/** Where the code is, whatever the application makes of stacks. */
function place(_: unknown, [site]: NodeJS.CallSite[]): string | undefined {
  return site && [site.getScriptNameOrSourceURL(), site.getLineNumber(), site.getColumnNumber()].join(':')
}

const reading = (): string | undefined => lineThatReads(reading)
/** Not every engine does: then no line is taken for the SDK's. */
export const tellsLines: boolean = reading() !== [reading()][0]
