/**
 * A refusal as a runner tells the model: word for word, and as an error. A runner knows such an error by its class, and
 * a process can hold several of that name: the SDK comes as an ES module and as CommonJS, and there may be two versions.
 */
import { pathToFileURL } from 'node:url'
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError'
import { type Denied, Suspended } from '@haldir/core'

/**
 * For whoever called the function that asks; what it says is its `cause`. Whoever is no runner is told of a call that
 * waits for a person by what it waits with: such a caller can stop, and a runner can't.
 */
export async function refusalFor(why: Denied | Suspended): Promise<Error> {
  const runner = runnerAmong(callers(refusalFor))
  if (!runner && Suspended.isInstance(why)) return why
  const Class = await classBeside(runner)
  return Object.defineProperty(new Class(why.message), 'cause', { value: why, configurable: true })
}

/**
 * The files of the code that waits for a function. They are read from where the code is, not from the text of a stack,
 * in which the name of a function could pass for a file, and source maps name files that are not there.
 */
function callers(asking: (...args: never[]) => unknown): readonly unknown[] {
  const { prepareStackTrace } = Error
  const found: { stack?: unknown } = {}
  try {
    Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName())
    Error.captureStackTrace(found, asking)
    return Array.isArray(found.stack) ? found.stack : []
  } catch {
    return []
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
}

/** The files that call `run`, in any version, and the folder they all share. */
const RUNNER = /^(.+[\\/]lib[\\/])(?:tools[\\/]Beta(?:RunnableTool|ToolRunner)|internal[\\/]toolsets[\\/]run)\.(m?js)$/

function runnerAmong(files: readonly unknown[]): RegExpExecArray | undefined {
  return files.map((file) => RUNNER.exec(String(file))).find((match) => match !== null) ?? undefined
}

/** The class that a runner looks for; where there is none, that of the copy next to this package. */
async function classBeside(runner: RegExpExecArray | undefined): Promise<typeof ToolError> {
  const [, folder, extension] = runner ?? []
  if (folder === undefined) return ToolError
  try {
    const base = folder.startsWith('file:') ? folder : pathToFileURL(folder).href
    const found = await import(/* @vite-ignore */ /* webpackIgnore: true */ `${base}tools/ToolError.${extension}`)
    return typeof found.ToolError === 'function' ? found.ToolError : ToolError
  } catch {
    return ToolError
  }
}
