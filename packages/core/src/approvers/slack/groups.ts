/** Who is in which user group, as Slack says it: asked when somebody clicks, and believed for a minute. */
import type { Clock } from '../../clock.ts'
import { Unavailable } from '../../errors.ts'
import { refusedBy, type SlackApi } from './api.ts'

/** Which of the groups somebody is in. `unknown`: of one or more of them Slack did not say. */
export interface Membership {
  readonly of: readonly string[]
  readonly unknown: boolean
}

interface Members {
  /** By the monotonic clock. */
  readonly asked: number
  readonly users: Promise<ReadonlySet<string>>
}

const BELIEVED_MS = 60_000
/** Policies name them, so they are few; what is told to forget, forgets. */
const MOST = 500

export class Groups {
  readonly #api: SlackApi
  readonly #clock: Clock
  readonly #members = new Map<string, Members>()

  constructor(api: SlackApi, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  async of(user: string, groups: readonly string[]): Promise<Membership> {
    const answers = await Promise.allSettled(groups.map((group) => this.#membersOf(group)))
    const isIn = (at: number) => {
      const answer = answers[at]
      return answer?.status === 'fulfilled' && answer.value.has(user)
    }
    // Invariant: a group that Slack says nothing of has no members.
    return {
      of: groups.filter((_, index) => isIn(index)),
      unknown: answers.some(({ status }) => status === 'rejected'),
    }
  }

  #membersOf(group: string): Promise<ReadonlySet<string>> {
    const now = this.#clock.monotonic()
    const known = this.#members.get(group)
    if (known && now - known.asked < BELIEVED_MS) return known.users
    if (this.#members.size >= MOST) this.#members.clear()
    const members = { asked: now, users: this.#ask(group) }
    this.#members.set(group, members)
    // What Slack did not say is asked again the next time.
    members.users.catch(() => {
      if (this.#members.get(group) === members) this.#members.delete(group)
    })
    return members.users
  }

  async #ask(group: string): Promise<ReadonlySet<string>> {
    const told = await this.#api.call('usergroups.users.list', { usergroup: group })
    if (!told.ok) throw refusedBy('usergroups.users.list', told.error)
    const { users } = told.answer
    if (!Array.isArray(users)) throw new Unavailable('`usergroups.users.list` answered nonsense')
    return new Set(users.filter((user) => typeof user === 'string'))
  }
}
