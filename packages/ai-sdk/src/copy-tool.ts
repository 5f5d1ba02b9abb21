/**
 * A copy of a tool that differs in `execute` alone. Own members are copied by their descriptors, so hidden ones and
 * accessors stay what they are. A tool that is an instance of a class keeps its prototype, and what it inherits still
 * runs on the original, where its private fields are.
 */
export function copyTool<T extends object>(tool: T, execute: unknown): T {
  const prototype = Object.getPrototypeOf(tool)
  const copy: T = Object.create(prototype, Object.getOwnPropertyDescriptors(tool))
  for (let level = prototype; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const key of Reflect.ownKeys(level)) {
      if (key === 'constructor' || Object.hasOwn(copy, key)) continue
      Object.defineProperty(copy, key, boundTo(tool, Object.getOwnPropertyDescriptor(level, key) as PropertyDescriptor))
    }
  }
  return Object.defineProperty(copy, 'execute', {
    value: execute,
    enumerable: true,
    writable: true,
    configurable: true,
  })
}

/** An inherited member, working on the original whoever it is called on. */
function boundTo(tool: object, { value, get, set, enumerable = false }: PropertyDescriptor): PropertyDescriptor {
  const shape = { enumerable, configurable: true }
  if (get || set) {
    const read = get && (() => Reflect.apply(get, tool, []))
    const write = set && ((next: unknown) => void Reflect.apply(set, tool, [next]))
    return { ...shape, get: read, set: write }
  }
  return { ...shape, writable: true, value: typeof value === 'function' ? value.bind(tool) : value }
}
