/**
 * `session.fetch`: a request to the network as a governed call. It goes the whole path as the tool `session.fetch`;
 * secrets stand in headers alone, and go only to the hosts that they name.
 */
import { createHash } from 'node:crypto'
import { LIMITS } from './call.ts'
import { currentFrame } from './context.ts'
import type { CurrentCall } from './current-call.ts'
import { namesPrivatePlace } from './egress/address.ts'
import { filtered } from './egress/answer.ts'
import { PrivateAddress } from './egress/transport.ts'
import { Denied } from './errors.ts'
import { type CheckedFetch, checkedFetch } from './fetch-options.ts'
import type { FetchOptions, Session } from './gate/sessions.ts'
import { type GovernedTool, thrownFor } from './governor.ts'
import type { Belongings, House, Refusal } from './pass.ts'
import { execute } from './pipeline.ts'
import { compileTool } from './tool-options.ts'
import { ByteRedactor } from './vault/redact-bytes.ts'

/** The tool that policies, quotas and entries know requests as. */
export const FETCH: GovernedTool = compileTool({
  framework: 'haldir',
  name: 'session.fetch',
  options: { scope: [], unscanned: 'allow', approval: 'wait' },
  schema: {
    type: 'object',
    properties: {
      url: { type: 'string' },
      host: { type: 'string' },
      path: { type: 'string' },
      method: { type: 'string' },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      body: { type: 'string' },
      bodyHash: { type: 'string' },
    },
    required: ['url', 'host', 'path', 'method', 'headers'],
    additionalProperties: false,
  },
  run: () => undefined,
})

/** Makes one request. Rejects with `Denied` when it is refused, and with the network's own error when that fails. */
export async function fetchFor(
  house: House,
  session: Session,
  to: string | URL,
  options: FetchOptions = {},
): Promise<Response> {
  const request = checkedFetch(to, options)
  const { url, method, headers, secretHeaders, body } = request
  const templates = Object.fromEntries(secretHeaders.map(({ header, template }) => [header, template]))
  const args = {
    url: url?.href ?? request.text,
    host: url?.host ?? '',
    path: url?.pathname ?? '',
    method,
    headers: { ...headers, ...templates },
    ...(typeof body === 'string' ? { body } : {}),
    ...(body instanceof Uint8Array ? bytesAsArgs(body) : {}),
  }
  const tool: GovernedTool = {
    ...FETCH,
    // Whether the policy fits was asked when it was put in force.
    schema: undefined,
    misfit: undefined,
    unseals: [...new Set(secretHeaders.map(({ secret }) => secret))],
    refuses: () => request.problem ?? misdirected(house, request),
    destination: url,
    within: callerOf(session),
    run: (_, call) => send(house, session, request, call),
  }
  const ended = await execute(house, tool, { args, signal: options.signal }, session)
  if (ended.status === 'ran') return ended.value as Response
  throw thrownFor(ended)
}

/** Bytes that are text are judged and searched as such; of others there is a hash. */
function bytesAsArgs(bytes: Uint8Array): { readonly body: string } | { readonly bodyHash: string } {
  if (bytes.length <= LIMITS.bytes / 2) {
    try {
      return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
    } catch {
      // They are no text.
    }
  }
  return { bodyHash: createHash('sha256').update(bytes).digest('hex') }
}

/** The governed tool that makes the request: what is its secret is its to send. */
function callerOf(session: Session): string | undefined {
  const call = currentFrame()?.call
  return call && !call.ended && call.session.id === session.id ? call.tool : undefined
}

/** A place that no request may lead to, as far as the URL says. */
function misdirected({ egress }: House, { url }: CheckedFetch): Refusal | undefined {
  if (!url || egress.permits(url) || !namesPrivatePlace(url)) return undefined
  return { code: 'policy-denied', reason: PRIVATE, rule: 'fetch:private-address' }
}

const PRIVATE = 'the request leads to a private address'

async function send(
  house: House,
  session: Session,
  { url, method, headers, secretHeaders, body, signal }: CheckedFetch,
  call: CurrentCall,
): Promise<Response> {
  // Invariant: what is sent is what was judged, but for secrets in the headers that were named for them.
  const filled: Record<string, string> = { ...headers }
  for (const { header, secret, template } of secretHeaders) {
    const value = call.take(secret)
    if (value === undefined || !FITS.test(value.trim())) {
      throw new Denied('secret-unavailable', `the secret \`${secret}\` can not stand in a header`, call.id)
    }
    filled[header] = template.replace(`{{${secret}}}`, () => value.trim())
  }
  // The answer is read after the call has ended; until then the session's end, and the caller's, stop it, too.
  const reading = (house.nobody ?? session).callSignal(signal)
  const stop = () => reading.abort(call.signal.reason)
  const init = {
    method,
    headers: filled,
    redirect: 'manual',
    signal: reading.signal,
    ...(body === undefined ? {} : { body }),
  } as const
  if (call.signal.aborted) stop()
  else call.signal.addEventListener('abort', stop, { once: true })
  try {
    const target = url as URL
    const answer = await house.egress.send(target, init, house.shadow || house.egress.permits(target))
    // In shadow mode it is the caller's to follow.
    if (isRedirect(answer) && !house.shadow) {
      await letGo(answer)
      throw new Denied('policy-denied', 'the answer is a redirect, and none is followed', call.id, 'fetch:redirect')
    }
    return await shown(answer, house.belongings.get(session) as Belongings, () => reading.end())
  } catch (error) {
    reading.end()
    if (error instanceof PrivateAddress) throw new Denied('policy-denied', PRIVATE, call.id, 'fetch:private-address')
    throw error
  } finally {
    call.signal.removeEventListener('abort', stop)
  }
}

/** What a header's value may hold (RFC 9110, section 5.5), without anything that a client would encode. */
const FITS = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/

/** The answer without the session's secrets. */
async function shown(answer: Response, { redactor }: Belongings, done: () => void): Promise<Response> {
  // What stands in a header is bytes, one letter for each.
  const text = (given: string) => {
    const bytes = new ByteRedactor(redactor)
    const redacted = [bytes.push(Buffer.from(given, 'latin1')), bytes.end()]
    return redactor.text(Buffer.concat(redacted).toString('latin1'))
  }
  try {
    return filtered(answer, { text, bytes: new ByteRedactor(redactor), done })
  } catch (error) {
    await letGo(answer)
    throw error
  }
}

async function letGo({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => {})
}

function isRedirect({ status, type, redirected }: Response): boolean {
  return redirected || type === 'opaqueredirect' || [301, 302, 303, 307, 308].includes(status)
}
