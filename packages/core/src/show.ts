import { inspect } from 'node:util'

/** How `console.log` shows the instances of a class: what they are, never what they hold. */
export function showAs<T extends object>(type: { readonly prototype: T }, show: (value: T) => string): void {
  Object.defineProperty(type.prototype, inspect.custom, {
    value(this: T) {
      return show(this)
    },
  })
}
