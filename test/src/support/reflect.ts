// What @peculiar/x509 wants of `Reflect` before it is loaded: metadata of decorators, which the
// parts of it that are used here do not have.
const metadata = new WeakMap<object, Map<unknown, unknown>>()

Object.assign(Reflect, {
  defineMetadata: (key: unknown, value: unknown, target: object): void => {
    const own = metadata.get(target) ?? new Map<unknown, unknown>()
    metadata.set(target, own.set(key, value))
  },
  getMetadata: (key: unknown, target: object): unknown => metadata.get(target)?.get(key),
  getOwnMetadata: (key: unknown, target: object): unknown => metadata.get(target)?.get(key),
  metadata: () => (): void => undefined,
})
