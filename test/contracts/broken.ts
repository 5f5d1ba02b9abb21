/** Proving that a contract notices: its cases, run by hand against something that breaks one promise. */
import { expect } from 'vitest'

interface OneCase<Scene> {
  readonly title: string
  readonly needs?: readonly string[]
  run(scene: Scene): Promise<void>
}

/** The titles of the cases that fail, in order. What needs something that is not offered is left out, as in the suite. */
export async function failing<Scene>(
  chapters: Readonly<Record<string, readonly OneCase<Scene>[]>>,
  open: () => Promise<{ readonly scene: Scene; close(): Promise<void> }>,
  offers: (scene: Scene, need: string) => boolean,
  only?: readonly string[],
): Promise<string[]> {
  const failed: string[] = []
  const titles = Object.values(chapters).flatMap((cases) => cases.map(({ title }) => title))
  for (const title of only ?? []) expect(titles, 'a case that does not exist proves nothing').toContain(title)
  for (const one of Object.values(chapters).flat()) {
    if (only && !only.includes(one.title)) continue
    const { scene, close } = await open()
    try {
      if (one.needs?.some((need) => !offers(scene, need))) continue
      await one.run(scene)
    } catch {
      failed.push(one.title)
    } finally {
      await close()
    }
  }
  return failed
}
