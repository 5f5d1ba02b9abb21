/** The static types of `@haldir/openai`. Compiled, never run: what must not compile says so. */
import { createHaldir, type Session, type Suspended, usd } from '@haldir/core'
import {
  type FunctionCallOutput,
  governed,
  permitted,
  runToolCalls,
  type SuspendedCall,
  SuspendedCalls,
  type ToolMessage,
} from '@haldir/openai'
import type OpenAI from 'openai'
import { runnerFunction } from 'openai/helpers/responses-tool-runner'
import { standardFunction, standardResponsesFunction } from 'openai/helpers/standard-schema'
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod'
import type { RunnableToolFunctionWithoutParse, RunnableToolFunctionWithParse } from 'openai/lib/RunnableFunction'
import { ParsingToolFunction } from 'openai/lib/RunnableFunction'
import type { Tool } from 'openai/resources/responses/responses'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const client: OpenAI
declare const session: Session
const haldir = createHaldir()
const model = 'gpt-5'
const messages = [{ role: 'user' as const, content: 'go on' }]

type Charge = { amount: number; card: string }
const parameters = z.object({ amount: z.number(), card: z.string() })
const ANY = { type: 'object' as const, properties: {} }

const charge = {
  type: 'function' as const,
  function: {
    name: 'charge',
    description: 'charges a card',
    parameters: ANY,
    parse: (text: string): Charge => JSON.parse(text),
    function: async ({ amount, card }: Charge) => ({ total: amount, card }),
  },
}
const note = {
  type: 'function' as const,
  function: { name: 'note', description: 'notes', parameters: ANY, function: (text: string) => text.length },
}
const zod = zodFunction({ name: 'zod', parameters, function: async ({ amount }) => ({ total: amount }) })
const parsing = new ParsingToolFunction<Charge>({ ...charge.function, name: 'parsing' })
const responses = zodResponsesFunction({ name: 'responses', parameters, function: async ({ amount }) => amount })
const look = {
  type: 'function' as const,
  name: 'look',
  description: 'looks',
  parameters: ANY,
  strict: false,
  function: async ({ id }: { id: string }, { signal }: { signal: AbortSignal }) => [id, signal.aborted] as const,
}
declare const withParse: RunnableToolFunctionWithParse<Charge>
declare const withoutParse: RunnableToolFunctionWithoutParse

// One tool: the same type comes back, and the rule's functions see the tool's own types.
const one = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, Charge>(true)
    return usd(args.amount)
  },
  actual: (result, args) => {
    same<typeof result, { total: number; card: string }>(true)
    same<typeof args, Charge>(true)
    return [usd(result.total)]
  },
})
same<typeof one, typeof charge>(true)

const zodded = governed(zod, { name: 'zod', scope: ({ card }) => `pay:${card.trim()}`, once: ({ card }) => card })
same<typeof zodded, typeof zod>(true)
same<typeof responded, typeof responses>(true)
const responded = governed(responses, {
  name: 'responses',
  scope: 'spend',
  cost: ({ amount }) => usd(amount.valueOf()),
})
const looked = governed(look, {
  name: 'look',
  scope: ({ id }) => `order:${id.trim()}`,
  actual: ([id, aborted]) => {
    same<typeof id, string>(true)
    same<typeof aborted, boolean>(true)
    return usd(1)
  },
})
same<typeof looked, typeof look>(true)
const parsed = governed(parsing, { name: 'parsing', scope: 'spend', cost: ({ amount }) => usd(amount.valueOf()) })
same<typeof parsed, typeof parsing>(true)
governed(withParse, { name: 'with', scope: ({ card }) => card.trim() })
// Of the text that a function takes, the object in it is what rules see.
governed(withoutParse, { name: 'without', scope: ({ anything }) => anything })
governed(note, {
  name: 'note',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
  actual: (count) => usd(count.valueOf()),
})
const standard = standardFunction({ name: 'standard', parameters, function: ({ amount }) => amount })
governed(standard, { name: 'standard', scope: ({ card }) => card.trim() })
const standards = standardResponsesFunction({ name: 'standards', parameters, function: ({ amount }) => amount })
governed(standards, { name: 'standards', scope: ({ card }) => card.trim() })

// A set: each under its key.
const tools = governed(
  { charge, zod, note, look },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total), secrets: ['key'] },
    zod: { scope: ({ card }) => card.trim(), onFailure: 'release' },
    note: { scope: [] },
    look: { scope: ({ id }) => id.trim() },
  },
  { haldir, session },
)
same<(typeof tools)['charge'], typeof charge>(true)
same<keyof typeof tools, 'charge' | 'zod' | 'note' | 'look'>(true)

// A list: by the names that the types know, else by any.
const named = [
  {
    type: 'function',
    function: { name: 'charge', parameters: ANY, function: (args: Charge) => args, parse: JSON.parse },
  },
  { type: 'web_search' },
] as const
governed(named.slice(0, 1), { charge: { scope: 'read' } })
const [known] = named
const listed = governed([known], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount.valueOf()) } })
same<typeof listed, (typeof known)[]>(true)
// @ts-expect-error there is no tool `other`
governed([known], { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error `charge` has no rule
governed([known], {})
const loose = governed([charge, note], { charge: { scope: 'read' }, note: { scope: 'read' } })
same<typeof loose, (typeof charge | typeof note)[]>(true)
// @ts-expect-error a misspelt option, in a list
governed([charge], { charge: { scope: 'read', costs: usd(1) } })

// What comes back goes wherever the tool went.
const asTools: Tool[] = [looked, responded, { type: 'web_search' }]
async function loops(): Promise<void> {
  const { charge, zod, note } = tools
  const runner = client.chat.completions.runTools({ model, messages, tools: [charge, note, parsed] })
  await runner.finalContent()
  client.chat.completions.runTools({ model, messages, tools: [zodded, zod], stream: true })
  client.chat.completions.runTools({ model, messages, tools: permitted([zodded, zod], session) })
  client.chat.completions.runTools({ model, messages, tools: [charge], toolContext: { haldirSession: session } })
  const completed = await client.chat.completions.parse({ model, messages, tools: [zodded] })
  // What a model's answer is says what comes back.
  const told: ToolMessage[] = await runToolCalls(completed, [zodded], { session })
  const completion = await client.chat.completions.create({ model, messages, tools: [charge, zod] })
  const answered = await runToolCalls(completion, [charge, zod])
  const message = completion.choices[0]?.message
  if (message) same<Awaited<ReturnType<typeof answer>>, ToolMessage[]>(true)
  const answer = async () => runToolCalls(message as OpenAI.Chat.ChatCompletionMessage, { charge })
  await client.chat.completions.create({ model, messages: [...messages, ...told, ...answered] })

  const response = await client.responses.create({ model, input: 'go', tools: asTools })
  const outputs = await runToolCalls(response, { look: looked, responded }, { session, signal: session.signal })
  same<typeof outputs, FunctionCallOutput[]>(true)
  same<Awaited<ReturnType<typeof items>>, FunctionCallOutput[]>(true)
  const items = async () => runToolCalls(response.output, [looked, responded])
  await client.responses.create({ model, input: outputs, previous_response_id: response.id })
  const structured = await client.responses.parse({ model, input: 'go', tools: [responded] })
  await runToolCalls(structured, [responded], { haldir, onError: (error, { name }) => `${name}: ${error}` })
  const final = await client.responses.stream({ model, input: 'go', tools: [responded] }).finalResponse()
  try {
    await runToolCalls(response, [responded])
  } catch (error) {
    if (SuspendedCalls.isInstance(error)) {
      const first: Suspended = error
      const calls: readonly SuspendedCall[] = error.calls
      console.log(first.approvalId, calls[0]?.callId)
      await runToolCalls(response, [responded], { answered: error.outputs })
    }
  }
  await runToolCalls(final, [responded])
  runnerFunction(responded)
}

const shown = permitted(tools, session)
same<typeof shown, typeof tools>(true)

// @ts-expect-error a session is a handle, not its token
permitted(tools, session.token)
// @ts-expect-error a session is a handle, not its token
runToolCalls([], tools, { session: session.token })
// @ts-expect-error a misspelt option
runToolCalls([], tools, { sesion: session })
// @ts-expect-error with which tools?
runToolCalls([])
// @ts-expect-error a text is no answer of a model
runToolCalls('text', tools)
// @ts-expect-error nor is a question
runToolCalls(messages[0], tools)
// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the arguments have no `price`
governed(zod, { name: 'zod', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the arguments have no `price`
governed(look, { name: 'look', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the result has no `sum`
governed(charge, { name: 'charge', scope: 'spend', cost: usd(1), actual: ({ sum }) => usd(sum) })
// @ts-expect-error a cost is synchronous
governed(charge, { name: 'charge', scope: 'spend', cost: async ({ amount }) => usd(amount) })
// @ts-expect-error a scope is not optional
governed(charge, { name: 'charge' })
// @ts-expect-error one tool needs a name
governed(charge, { scope: 'read' })
// @ts-expect-error a misspelt option
governed(charge, { name: 'charge', scope: 'read', costs: usd(1) })
// @ts-expect-error a misspelt place
governed(charge, { name: 'charge', scope: 'read' }, { haldirs: haldir })
// @ts-expect-error a session is a handle, not text
governed(charge, { name: 'charge', scope: 'read' }, { session: 'some id' })
// @ts-expect-error `zod` has no rule
governed({ charge, zod }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error the arguments of `charge` have no `price`, in a set either
governed({ charge }, { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error a function is no tool
governed(async () => 1, { name: 'fn', scope: 'read' })
// What has no function here passes the types; it is refused when it is wrapped.
governed({ type: 'web_search' }, { name: 'search', scope: 'read', ungovernable: 'allow' })

export { loops }
