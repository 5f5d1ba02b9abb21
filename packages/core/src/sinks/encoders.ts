/** How entries are sent, for `httpSink({ encoder })`: one for each kind of receiver. */
export { type CloudEventsOptions, cloudEvents } from './encoders/cloud-events.ts'
export { type DatadogOptions, datadog } from './encoders/datadog.ts'
export { type ElasticOptions, elasticBulk } from './encoders/elastic.ts'
export type { Answer, Encoded, Encoder, Judgement, RefusedEntry, SentEntry } from './encoders/encoder.ts'
export { jsonl } from './encoders/jsonl.ts'
export { type LokiOptions, loki } from './encoders/loki.ts'
export { ocsf } from './encoders/ocsf.ts'
export { type SplunkOptions, splunk } from './encoders/splunk.ts'
