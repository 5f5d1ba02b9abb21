/**
 * What a schema looks like as JSON Schema: one that carries it (`jsonSchema`), anything that offers Standard JSON Schema
 * (https://standardschema.dev/json-schema), or plain JSON Schema itself. `undefined` when none of these answers at once.
 */
export function jsonSchemaOf(schema: unknown): unknown {
  try {
    const { jsonSchema, '~standard': standard } = schema as {
      jsonSchema?: unknown
      '~standard'?: { jsonSchema?: { input(options: { target: string }): unknown } }
    }
    const json = jsonSchema ?? (standard ? standard.jsonSchema?.input({ target: 'draft-2020-12' }) : schema)
    if (typeof json !== 'object' || json === null || 'then' in json) return undefined
    return JSON.parse(JSON.stringify(json))
  } catch {
    // A schema may hold what JSON Schema has no word for: then nothing is known of it.
    return undefined
  }
}
