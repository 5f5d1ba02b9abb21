/**
 * What is mutated, and by which tests it is judged: room by room, so that a run ends in a tea break and not overnight.
 * A room's own tests come first. Tests that start processes (crash, packaging, demo, readme), the evals and the
 * benchmark stay out, so a mutant that only they would notice counts as survived.
 */
export interface Room {
  readonly mutate: readonly string[]
  readonly tests: readonly string[]
}

const core = 'packages/core/src'
const policy = `${core}/gate/policy`

export const ROOMS: Readonly<Record<string, Room>> = {
  watch: {
    mutate: [`${core}/watch/**/*.ts`, `${core}/witnesses/*.ts`],
    tests: [`${core}/watch/**/*.test.ts`, 'test/acceptance/{checkpoints,trail,witnesses}.test.ts'],
  },
  gate: {
    mutate: [`${core}/gate/*.ts`],
    tests: [`${core}/gate/*.test.ts`, 'test/acceptance/{delegation,guards,haldir,meters,path,policy}.test.ts'],
  },
  approvals: {
    mutate: [`${core}/approvals/*.ts`, `${core}/gate/approvals/*.ts`, `${core}/stores/approval*.ts`],
    tests: [
      `${core}/gate/approvals/*.test.ts`,
      `${core}/stores/*approval*.test.ts`,
      'test/acceptance/approvals*.test.ts',
    ],
  },
  channels: {
    mutate: [`${core}/approvers/**/*.ts`],
    tests: [`${core}/approvers/**/*.test.ts`],
  },
  policy: {
    mutate: [`${policy}/**/*.ts`],
    tests: [`${policy}/**/*.test.ts`],
  },
  vault: {
    mutate: [`${core}/vault/**/*.ts`],
    tests: [`${core}/vault/**/*.test.ts`, 'test/acceptance/{secrets,detect}.test.ts'],
  },
}
