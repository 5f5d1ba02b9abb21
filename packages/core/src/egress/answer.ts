/** An answer from the network, from which the secrets of a session are taken out while it is read. */

/** Finds secrets in bytes that come piece by piece. */
export interface ByteFilter {
  push(chunk: Uint8Array): Uint8Array
  /** What waited, at the end. */
  end(): Uint8Array
}

export interface AnswerParts {
  readonly text: (text: string) => string
  readonly bytes: ByteFilter
  /** Called once, when the body has been read, was let go of, or broke off. */
  readonly done: () => void
}

/** Of what the filter may change, nothing may be told beforehand. */
const CHANGED = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'etag', 'digest', 'content-md5'])
const NO_BODY = new Set([101, 103, 204, 205, 304])

/** A new `Response` of the same status, headers and body. */
export function filtered(answer: Response, { text, bytes, done }: AnswerParts): Response {
  const { status, statusText, body, url } = answer
  const headers = new Headers()
  for (const [name, value] of answer.headers) if (!CHANGED.has(name)) headers.append(text(name), text(value))
  const empty = body === null || NO_BODY.has(status)
  if (empty) done()
  const shown = new Response(empty ? null : filteredBody(body, bytes, done), {
    status,
    statusText: text(statusText),
    headers,
  })
  // A response that was made, not received, does not know where it is from.
  Object.defineProperty(shown, 'url', { value: url, configurable: true })
  return shown
}

function filteredBody(
  body: ReadableStream<Uint8Array>,
  bytes: ByteFilter,
  done: () => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const shown = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const { done: over, value } = await reader.read()
            const out = over ? bytes.end() : bytes.push(value)
            if (out.length > 0) controller.enqueue(out)
            if (over) {
              controller.close()
              done()
            }
            if (over || out.length > 0) return
          }
        } catch (error) {
          done()
          throw error
        }
      },
      async cancel(reason) {
        done()
        await reader.cancel(reason)
      },
    },
    // Nothing is read before it is asked for.
    { highWaterMark: 0 },
  )
  // One that nobody reads must not be waited for as long as its session lives.
  unread.register(shown, done)
  return shown
}

const unread = new FinalizationRegistry<() => void>((done) => done())
