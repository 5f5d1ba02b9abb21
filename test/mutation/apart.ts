/** Keeps files of tests apart that share one process here: each starts with no open haldir and no wrapped tool. */
const shared = (globalThis as Record<symbol, { haldirs: Set<unknown>; tools: Set<unknown> } | undefined>)[
  Symbol.for('haldir.shared.v1')
]
shared?.haldirs.clear()
shared?.tools.clear()
