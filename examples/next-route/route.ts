/** A route handler of the Next.js App Router, such as `app/api/chat/route.ts`: one session for each request. */
import { Denied, type Session } from '@haldir/core'
import { convertToModelMessages, type ModelMessage, safeValidateUIMessages, stepCountIs, streamText } from 'ai'
import { after } from './after.ts' // in Next.js: from 'next/server'
import { haldir } from './haldir.ts'
import { model } from './model.ts' // yours; here one that says what it was told to
import { tools } from './tools.ts'
import { scopesOf, type User, userOf } from './users.ts'

// #region readme
export async function POST(request: Request): Promise<Response> {
  const user = await userOf(request)
  if (!user) return new Response('Who are you?', { status: 401 })
  const messages = await messagesIn(request)
  if (!messages) return new Response('These are no messages.', { status: 400 })
  const session = await sessionFor(user)
  if (!session) return new Response('Too many requests at once.', { status: 429 })

  // Once the response is finished the session is worth nothing any more, and everything recorded is on disk.
  after(async () => {
    await session.revoke('the response is finished')
    await haldir.flush()
  })

  const result = session.run(() =>
    streamText({
      model,
      tools,
      messages,
      stopWhen: stepCountIs(5),
      abortSignal: AbortSignal.any([request.signal, session.signal]),
    }),
  )
  return result.toUIMessageStreamResponse()
}

/** Tenant and scopes come from who has signed in, never from what the browser or the model says. */
async function sessionFor(user: User): Promise<Session | undefined> {
  const { id, tenant } = user
  try {
    return await haldir.createSession({
      agent: 'support-bot',
      tenant,
      scopes: scopesOf(user),
      ttl: '2m',
      attributes: { user: id },
    })
  } catch (error) {
    // A quota of sessions may be used up. Anything else is a fault, and Next.js answers 500.
    if (Denied.isInstance(error)) return undefined
    throw error
  }
}
// #endregion readme

async function messagesIn(request: Request): Promise<ModelMessage[] | undefined> {
  const body = (await request.json().catch(() => null)) as { messages?: unknown } | null
  const checked = await safeValidateUIMessages({ messages: body?.messages })
  return checked.success ? convertToModelMessages(checked.data) : undefined
}
