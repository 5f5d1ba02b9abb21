/** The bulk API of Elasticsearch: 200 for the request, and a status for each item. */
import type { Received, Reply } from './collector.ts'

export class ElasticBulk {
  readonly documents = new Map<string, Record<string, unknown>>()
  /** What becomes of the items with these ids, once each; a mapping error stays. */
  readonly busy = new Set<string>()
  readonly unmappable = new Set<string>()
  conflicts = 0

  handle = ({ path, headers, body }: Received): Reply => {
    if (path !== '/_bulk') return { status: 404 }
    if (headers['content-type'] !== 'application/x-ndjson') return { status: 406 }
    if (!body.endsWith('\n')) return { status: 400, body: '{"error":{"reason":"must be terminated by a newline"}}' }
    const lines = body.slice(0, -1).split('\n')
    const items: object[] = []
    for (let at = 0; at < lines.length; at += 2) {
      const { create } = JSON.parse(lines[at] as string) as { create: { _index: string; _id: string } }
      const document = JSON.parse(lines[at + 1] as string) as Record<string, unknown>
      items.push({ create: { _index: create._index, _id: create._id, ...this.#create(create._id, document) } })
    }
    const errors = items.some((item) => JSON.stringify(item).includes('"error"'))
    return { status: 200, body: JSON.stringify({ took: 1, errors, items }) }
  }

  #create(id: string, document: Record<string, unknown>): object {
    const failed = (status: number, type: string) => ({ status, error: { type, reason: type } })
    if (document['@timestamp'] === undefined) return failed(400, 'document_parsing_exception')
    if (this.unmappable.has(id)) return failed(400, 'document_parsing_exception')
    if (this.busy.delete(id)) return failed(429, 'es_rejected_execution_exception')
    if (this.documents.has(id)) {
      this.conflicts++
      return failed(409, 'version_conflict_engine_exception')
    }
    this.documents.set(id, document)
    return { status: 201, result: 'created' }
  }
}
