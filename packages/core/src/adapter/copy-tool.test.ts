import { describe, expect, it } from 'vitest'
import { copyTool } from './copy-tool.ts'

const later = () => 'changed'

describe('copyTool', () => {
  it('changes the given members alone, and takes over the others by their descriptors', () => {
    let reads = 0
    const marker = Symbol('marker')
    const tool = Object.create(null, {
      name: { value: 'pay', enumerable: true },
      hidden: { value: { a: 1 }, enumerable: false, writable: false },
      live: { get: () => ++reads, enumerable: true, configurable: true },
      [marker]: { value: 'symbol', enumerable: true },
      execute: { value: () => 'bare', enumerable: false, writable: false, configurable: false },
    })
    const before = Object.getOwnPropertyDescriptors(tool)
    const copy = copyTool(tool, { execute: later, added: 1 })
    expect(reads).toBe(0)
    const { execute, added, ...same } = Object.getOwnPropertyDescriptors(copy)
    const { execute: _, ...rest } = before
    expect(same).toEqual(rest)
    // As visible as it was, so that whoever spreads or lists the copy gets what the original would give.
    expect(execute).toEqual({ value: later, enumerable: false, writable: true, configurable: true })
    expect(added).toEqual({ value: 1, enumerable: true, writable: true, configurable: true })
    expect(Object.getOwnPropertyDescriptors(tool)).toEqual(before)
    expect(Object.getPrototypeOf(copy)).toBeNull()
  })

  it('copies what is frozen into something that is not', () => {
    const copy = copyTool(Object.freeze({ execute: () => 'bare', name: 'x' }), { execute: later })
    expect(copy.execute()).toBe('changed')
    expect(Object.isExtensible(copy)).toBe(true)
  })

  it('replaces a member that is an accessor, or inherited, without reading it', () => {
    class Tool {
      #secret = 'kept'
      get execute(): () => string {
        throw new Error('read')
      }
      get secret() {
        return this.#secret
      }
      set secret(to: string) {
        this.#secret = to
      }
      own() {
        return this.#secret
      }
    }
    class Special extends Tool {
      override own() {
        return `special ${super.own()}`
      }
    }
    const tool = new Special()
    const copy = copyTool(tool, { execute: later })
    expect(copy.execute()).toBe('changed')
    expect(copy).toBeInstanceOf(Special)
    expect(copy.constructor).toBe(Special)
    // What is inherited runs on the original, where its private fields are, also when it is torn off.
    const { own } = copy
    expect([copy.secret, copy.own(), own()]).toEqual(['kept', 'special kept', 'special kept'])
    copy.secret = 'set'
    expect(tool.secret).toBe('set')
    expect(copyTool(copy, { name: 'again' }).own()).toBe('special set')
  })

  it('spreads as the original does, with the changed member in it', () => {
    expect({ ...copyTool({ execute: () => 'bare', name: 'x' }, { execute: later }) }).toEqual({
      execute: later,
      name: 'x',
    })
  })
})
