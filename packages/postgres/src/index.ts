/** `@haldir/postgres`: one budget, one revoke, one-use approvals and the trail, for every replica on a PostgreSQL. */
export type { Connection, PostgresClient } from './client.ts'
export { migrate, migrationSql, type SchemaOptions } from './migrations.ts'
export { type PostgresSinkOptions, postgresSink } from './sink.ts'
export { type PostgresStore, type PostgresStoreOptions, postgresStore } from './store.ts'
