/** The session handles in use, by id: two of one session would not know of each other's secrets and end. */
import type { Session } from './gate/sessions.ts'

/** Held weakly: a handle that nobody uses any more goes. */
export class SessionHandles {
  readonly #handles = new Map<string, WeakRef<Session>>()
  readonly #forgotten = new FinalizationRegistry<string>((id) => {
    if (!this.#handles.get(id)?.deref()) this.#handles.delete(id)
  })

  get(id: string): Session | undefined {
    return this.#handles.get(id)?.deref()
  }

  put(session: Session): void {
    this.#handles.set(session.id, new WeakRef(session))
    this.#forgotten.register(session, session.id)
  }

  ids(): readonly string[] {
    return [...this.#handles.keys()]
  }
}
