import type { Encoder } from './encoder.ts'

/** Entries as they stand in the trail, one a line: whoever gets them can verify the chain as it is. */
export function jsonl(): Encoder {
  return {
    name: 'jsonl',
    contentType: 'application/x-ndjson',
    encode: (entries) => ({ body: `${entries.map(({ line }) => line).join('\n')}\n` }),
  }
}
