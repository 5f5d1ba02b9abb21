/** Where it is kept how calls have ended, while the store does not take it. */
export { fileJournal } from './journal/file.ts'
export type { Journal, Owed } from './journal/journal.ts'
