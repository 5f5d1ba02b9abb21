/** A name of a person or a group, as a channel knows them. What stands before a `:` would be taken for a channel. */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > 128) return false
  return value.trim() === value && !/[:\p{C}\p{Zl}\p{Zp}]/u.test(value)
}

/** What it is, in words. */
export const NAME = 'a name of up to 128 characters, without `:`'
