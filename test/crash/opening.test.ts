import { expect, it } from 'vitest'
import { Program, scratch } from './process.ts'

const PROCESSES = 8
const STORES = 30

it('eight processes that make the same new store at the same moment all get it', { timeout: 240_000 }, async () => {
  const folder = scratch()
  const stores = Array.from({ length: STORES }, (_, n) => folder.path(`${n}.db`))
  const programs = Array.from({ length: PROCESSES }, () => new Program('open', { stores }))
  try {
    for (let round = 1; round <= STORES; round++) {
      await Promise.all(programs.map((program) => program.said('ready', round)))
      for (const program of programs) program.tell('go')
    }
    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(Array(PROCESSES).fill(0))
  } finally {
    await Promise.all(programs.map((program) => program.kill()))
    folder.remove()
  }
})
