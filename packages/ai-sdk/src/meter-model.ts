/**
 * `meterModel`: every call of a model is paid for by a session. The most it can cost is set aside before the provider
 * hears of it, and what it has cost is counted before the caller hears of the answer, so that the next call is refused
 * when the budget is gone.
 */
import { type Amount, type Amounts, amount, ConfigError, Denied, type Session } from '@haldir/core'
import { ambientSession, checkKeys, isSession, markWrapped, refuseTwice, spendAhead } from '@haldir/core/adapter'
import type { wrapLanguageModel } from 'ai'
import { ModelCall, sizeOf, tokensIn } from './model-call.ts'
import { larger, mostFor, ofMicros, type Prices, type Rates, ratesFor, sound } from './prices.ts'

/** A model object of the AI SDK, of any version of its specification that the SDK takes. */
export type MeterableModel = Parameters<typeof wrapLanguageModel>[0]['model']
/** A model of the same version of the specification as the one it is made of. */
export type MeteredModel<M extends MeterableModel = ReturnType<typeof wrapLanguageModel>> = Extract<
  MeterableModel,
  { readonly specificationVersion: M['specificationVersion'] }
>
/** What a model is called with: prompt, tools, `maxOutputTokens` and so on. */
export type ModelCallParams = Parameters<MeteredModel['doGenerate']>[0]

export interface MeterModelOptions {
  readonly prices: Prices
  /** Who pays; the ambient session unless given. When both are there they must be the same. */
  readonly session?: Session
  /**
   * The most that one call can cost, set aside while it runs. Units it does not name, and all of them without it, are
   * estimated: the prompt at a token for three bytes, and `maxOutputTokens` where the call has it.
   */
  readonly reserve?: Amounts | ((params: ModelCallParams) => Amounts)
}

/**
 * A model whose every call, whole or streamed, is charged to a session: money by the price table, and `tokens`. A call
 * is refused with `Denied` before the provider is called when there is no session, when it is over, or when its budget
 * does not reach. Throws `ConfigError` for bad options, for a model without a price, and for one that is metered already.
 */
export function meterModel<M extends MeterableModel>(model: M, options: MeterModelOptions): MeteredModel<M> {
  checkKeys(options, ['prices', 'session', 'reserve'], 'options of `meterModel`')
  const { prices, session, reserve } = options
  if (typeof model !== 'object' || model === null || typeof model.modelId !== 'string') {
    throw new ConfigError('invalid-option', 'model', '`model` is a model object, such as `openai(…)` answers')
  }
  if (session !== undefined && !isSession(session)) {
    throw new ConfigError('invalid-option', 'session', '`session` is what `createSession` or `attach` answered')
  }
  if (reserve !== undefined && typeof reserve !== 'function') checked(reserve)
  const name = `model:${model.modelId.replace(/[^A-Za-z0-9_.:/-]/g, '-')}`.slice(0, 128)
  refuseTwice(model, name)
  const meter: Meter = { name, session, reserve, rates: ratesFor(prices, String(model.provider), model.modelId) }
  // Every version has these two ways to call a model. The SDK itself is not needed: it takes models that speak its
  // own version of the specification, or an older one, and so it does this one.
  const inner = model as unknown as MeteredModel
  const metered: MeteredModel = {
    specificationVersion: inner.specificationVersion,
    provider: inner.provider,
    modelId: inner.modelId,
    supportedUrls: inner.supportedUrls,
    doGenerate: (params) =>
      paid(meter, params, async (call) => {
        const result = await inner.doGenerate({ ...params, abortSignal: call.signal })
        call.seen = sizeOf(result.content)
        await call.end(result.usage)
        return result
      }),
    doStream: (params) =>
      paid(meter, params, async (call) => {
        const result = await inner.doStream({ ...params, abortSignal: call.signal })
        return { ...result, stream: call.follow(result.stream) }
      }),
  }
  markWrapped(metered)
  return metered as unknown as MeteredModel<M>
}

interface Meter {
  readonly name: string
  readonly rates: Rates
  readonly session: Session | undefined
  readonly reserve: MeterModelOptions['reserve']
}

/** Sets aside what a call can cost, and makes it. */
async function paid<T>(meter: Meter, params: ModelCallParams, work: (call: ModelCall) => Promise<T>): Promise<T> {
  const { name, rates } = meter
  const session = payerOf(meter)
  params.abortSignal?.throwIfAborted()
  const prompt = tokensIn(sizeOf([params.prompt, params.tools, params.responseFormat]))
  const aside = setAside(meter, params, mostFor(rates, prompt, sound(params.maxOutputTokens) ?? 0))
  // A session that is over pays for something only in shadow mode, where its end stops nothing.
  const signals = [params.abortSignal, session.signal.aborted ? undefined : session.signal]
  const spending = await spendAhead(session, name, aside)
  // As it is: the SDK repeats calls only for errors of providers that say so, so a denial ends the loop.
  if (Denied.isInstance(spending)) throw spending
  const call = new ModelCall({ spending, rates, aside, prompt }, signals)
  try {
    if (call.signal.aborted) await call.free(call.signal.reason)
    call.signal.throwIfAborted()
    return await work(call)
  } catch (error) {
    await (turnedDown(error) ? call.free(error) : call.fail(error))
    throw error
  }
}

/** Sources that disagree are refused: a model that is bound to one session must not let another one spend for free. */
function payerOf({ session }: Meter): Session {
  const ambient = ambientSession()
  const payer = session ?? ambient
  if (!payer) throw new Denied('no-session', 'there is no session to pay for the model', '')
  if (ambient && ambient.id !== payer.id) throw new Denied('no-session', 'two different sessions apply', '')
  return payer
}

function setAside({ reserve, rates }: Meter, params: ModelCallParams, estimate: readonly Amount[]): readonly Amount[] {
  const own = reserve === undefined ? [] : checked(typeof reserve === 'function' ? reserve(params) : reserve)
  const amounts = [...own, ...estimate.filter(({ unit }) => !own.some((one) => one.unit === unit))]
  // However little is set aside, a budget that is used up must refuse.
  const free = mostFor(rates, 1, 1).every(({ unit, micros }) => unit !== rates.currency || micros === 0n)
  return larger(amounts, [ofMicros(rates.currency, free ? 0n : 1n), ofMicros('tokens', 1n)])
}

function checked(given: Amounts): readonly Amount[] {
  const amounts: readonly Amount[] = Array.isArray(given) ? given : [given]
  try {
    return amounts.map(({ unit, decimal }) => amount(unit, decimal))
  } catch {
    throw new ConfigError(
      'invalid-amount',
      'reserve',
      '`reserve` is amounts such as `usd(0.05)`, or a function of a call',
    )
  }
}

/**
 * Whether the provider has said that it did not do the work: then nothing was spent. Any other failure, an abort, a
 * timeout, a lost connection, an answer that can't be read, may come after the tokens: what was set aside counts.
 */
function turnedDown(error: unknown): boolean {
  const status = (error as { statusCode?: unknown } | null | undefined)?.statusCode
  if (typeof status !== 'number' || status === 408 || status === 499) return false
  return (status >= 400 && status < 500) || status === 503 || status === 529
}
