/** A policy of OPA, compiled to WebAssembly and evaluated in this process: no server, no network. */
import { loadPolicy } from '@open-policy-agent/opa-wasm'

export interface WasmClient {
  /** `path` is an entrypoint the module was built with: `orders/decision`. */
  evaluate(path: string, input: unknown): Promise<unknown>
}

export async function wasmClient(wasm: Uint8Array<ArrayBuffer>): Promise<WasmClient> {
  const policy = await loadPolicy(wasm)
  return {
    async evaluate(path, input) {
      let results: { readonly result: unknown }[]
      try {
        results = policy.evaluate(input, path)
      } catch (cause) {
        // The SDK throws bare strings, for an entrypoint it does not know, say.
        throw new Error('OPA could not evaluate the policy', { cause })
      }
      // A decision that is undefined is no result at all. It must not pass for a verdict: the guard refuses the call.
      const [first, ...more] = results
      if (!first || more.length > 0) throw new Error('OPA did not come to one decision')
      return first.result
    },
  }
}
