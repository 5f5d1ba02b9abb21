/** Bodies of requests, byte for byte: signatures are made over bytes, and a parsed body has lost them. */

export type RawBody =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly status: 400 | 413; readonly why: string }

export const LOST = 'the body was read already: mount `haldir.fetch` before what parses bodies'

/** Reads the whole body, but no more than `most` bytes: what a length header says is not relied on. */
export async function rawBody(request: Request, most: number): Promise<RawBody> {
  const { body } = request
  if (request.bodyUsed || body?.locked) return { ok: false, status: 400, why: LOST }
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of body ?? []) {
      length += chunk.length
      // Leaving the loop lets go of the rest.
      if (length > most) return { ok: false, status: 413, why: `the body is longer than ${most} bytes` }
      chunks.push(chunk)
    }
  } catch {
    return { ok: false, status: 400, why: 'the body did not come whole' }
  }
  // A framework that has parsed a body hands on a request without one, or one of which nothing is left to read.
  if (length === 0 && Number(request.headers.get('content-length')) > 0) return { ok: false, status: 400, why: LOST }
  return { ok: true, bytes: Buffer.concat(chunks) }
}
