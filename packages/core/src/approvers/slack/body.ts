/** The body of a request as its bytes came: a signature is over these, and over nothing that was made of them. */
import type { Refused } from './signature.ts'

const MOST = 1_000_000
const READ: Refused = {
  status: 400,
  why: 'the body is empty or was read already; mount the handler before body parsers, for the signature is over the raw body',
}
const LARGE: Refused = { status: 413, why: 'the body is larger than 1 MB' }

/** Reads it once, and no further than it may go. */
export async function readRaw(request: Request): Promise<Uint8Array | Refused> {
  const { body, headers } = request
  if (!body) return READ
  if (Number(headers.get('content-length')) > MOST) return LARGE
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      size += chunk.length
      // Leaving the loop cancels the rest.
      if (size > MOST) return LARGE
      chunks.push(chunk)
    }
  } catch {
    // It was read before by somebody else.
    return READ
  }
  return size === 0 ? READ : Buffer.concat(chunks)
}
