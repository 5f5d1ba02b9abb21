/** Who is asking. Yours would ask the session cookie or the identity provider; here a header names one of two people. */
export interface User {
  readonly id: string
  readonly tenant: string
  readonly role: 'support' | 'viewer'
}

const USERS: Readonly<Record<string, User>> = {
  'Bearer ann': { id: 'ann', tenant: 'acme', role: 'support' },
  'Bearer bob': { id: 'bob', tenant: 'acme', role: 'viewer' },
}

export async function userOf(request: Request): Promise<User | undefined> {
  return USERS[request.headers.get('authorization') ?? '']
}

/** What an agent may do for them: never more than they may do themselves. */
export function scopesOf({ role }: User): string[] {
  return role === 'support' ? ['orders:read', 'spend:25'] : ['orders:read']
}
