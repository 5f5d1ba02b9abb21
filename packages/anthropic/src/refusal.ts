/**
 * A denial as a runner tells the model: word for word, and as an error. A runner knows such an error by its class, and
 * a process can hold several of that name: the SDK comes as an ES module and as CommonJS, and there may be two versions.
 */
import { pathToFileURL } from 'node:url'
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError'
import type { Denied } from '@haldir/core'

/** `caller` was made where the runner called; the denial is its `cause`. */
export async function refusalFor(denial: Denied, caller: Error): Promise<Error> {
  const Class = await classBeside(String(caller.stack))
  return Object.defineProperty(new Class(denial.message), 'cause', { value: denial, configurable: true })
}

/** The files that call `run`, in any version, and the folder they all share. */
const RUNNER =
  /(?:\(|at )((?:file:\/\/)?(?:\/|[a-z]:[\\/])[^\n()]*[\\/]lib[\\/])(?:tools[\\/]Beta(?:RunnableTool|ToolRunner)|internal[\\/]toolsets[\\/]run)\.(m?js):/i

/** The class that the runner in this stack looks for; where there is none, that of the copy next to this package. */
async function classBeside(stack: string): Promise<typeof ToolError> {
  const [, folder, extension] = RUNNER.exec(stack) ?? []
  if (folder === undefined) return ToolError
  try {
    const base = folder.startsWith('file:') ? folder : pathToFileURL(folder).href
    const found = await import(/* @vite-ignore */ /* webpackIgnore: true */ `${base}tools/ToolError.${extension}`)
    return typeof found.ToolError === 'function' ? found.ToolError : ToolError
  } catch {
    return ToolError
  }
}
