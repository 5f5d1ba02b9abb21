/** Without `DATABASE_URL` the example runs on a database in this process, so that it needs no server. */
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'

class Embedded extends PGlite {
  async end() {
    await this.close()
  }
}

if (!process.env.DATABASE_URL) {
  process.env.DATABASE_URL = 'embedded'
  Object.assign(pg, { Pool: Embedded })
}
