/**
 * A copy of a tool that differs in the given members alone. Own members are copied by their descriptors, so hidden ones
 * and accessors stay what they are. A tool that is an instance of a class keeps its prototype, and what it inherits
 * still runs on the original, where its private fields are: an inherited method that calls the changed member reaches
 * the one of the original. What stands in `base` and above is the framework's own: it runs on the copy, and so comes
 * through what was changed.
 */
export function copyTool<T extends object>(tool: T, changed: Readonly<Record<string, unknown>>, base?: object): T {
  const prototype = Object.getPrototypeOf(tool)
  const members = Object.getOwnPropertyDescriptors(tool) as Record<PropertyKey, PropertyDescriptor>
  for (const [key, value] of Object.entries(changed)) {
    const enumerable = members[key]?.enumerable ?? true
    members[key] = { value, enumerable, writable: true, configurable: true }
  }
  const top = base ?? Object.prototype
  for (let level = prototype; level !== null && level !== top; level = Object.getPrototypeOf(level)) {
    for (const key of Reflect.ownKeys(level)) {
      if (key === 'constructor' || Object.hasOwn(members, key)) continue
      members[key] = boundTo(tool, Object.getOwnPropertyDescriptor(level, key) as PropertyDescriptor)
    }
  }
  return Object.create(prototype, members)
}

/** An inherited member, working on the original whoever it is called on. */
function boundTo(tool: object, { value, get, set, enumerable = false }: PropertyDescriptor): PropertyDescriptor {
  const shape = { enumerable, configurable: true }
  if (!get && !set) return { ...shape, writable: true, value: typeof value === 'function' ? value.bind(tool) : value }
  return {
    ...shape,
    ...(get && { get: () => Reflect.apply(get, tool, []) }),
    ...(set && { set: (next: unknown) => void Reflect.apply(set, tool, [next]) }),
  }
}
