/** What has become of the entries of an HTTP sink. */
export interface HttpCounts {
  /** Entries that the receiver has taken. */
  readonly sent: number
  /** Requests that were made again. */
  readonly retried: number
  /** Entries that were given up because the queue was full. */
  readonly dropped: number
  /** Entries that the receiver will never take; with a spool they are set aside in `refused-<name>.jsonl`. */
  readonly rejected: number
  /** Entries that were made smaller because the receiver would have cut them. */
  readonly reduced: number
  /** Entries that wait, those under way among them. */
  readonly queued: number
  /** Why nothing gets through at the moment: a sentence without a value or a secret. */
  readonly failing?: string
}

export type Tally = { -readonly [Key in Exclude<keyof HttpCounts, 'queued' | 'failing'>]: number } & {
  failing: string | undefined
}

export function noCounts(): Tally {
  return { sent: 0, retried: 0, dropped: 0, rejected: 0, reduced: 0, failing: undefined }
}
