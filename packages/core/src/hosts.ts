/** Hosts that a developer names: `api.example.com`, `api.example.com:8443`, `*.example.com`, `127.0.0.1:8080`. */

/**
 * A named host as URLs have it: lower case, punycode, an address in its one canonical spelling. `undefined` when it is
 * none: no scheme, no path, no user, no `*` but for all of what stands before the first dot.
 */
export function parseHost(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 260 || /[\s/\\?#@%]/.test(text)) return undefined
  const [, wild = '', name = ''] = /^(\*\.)?(.*)$/s.exec(text) ?? []
  if (name === '' || name.includes('*') || name.startsWith('.') || name.endsWith('.') || name.endsWith(':'))
    return undefined
  try {
    // Not a scheme with a default port, so that none is taken away.
    const { hostname, port } = new URL(`http://${name}`)
    const explicit = /:(\d{1,5})$/.exec(name)?.[1]
    // All subdomains of a whole top-level domain, or of an address, is nothing that anybody means.
    if (wild && (!hostname.includes('.') || /^[\d.]+$|^\[/.test(hostname))) return undefined
    const at = explicit === undefined || (name.startsWith('[') && name.endsWith(']')) ? '' : `:${port || '80'}`
    return `${wild}${hostname}${at}`
  } catch {
    return undefined
  }
}

/** Whether one of the named hosts is where a URL leads. A host that is named without a port is meant at 443. */
export function namesHost(hosts: readonly string[], url: URL): boolean {
  const port = url.port || (url.protocol === 'http:' ? '80' : '443')
  return hosts.some((host) => {
    const [, wild, name = '', own = '443'] = /^(\*\.)?(\[.*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? []
    // What is meant for the port of https is not meant for anything else that is spoken there.
    if (own !== port || (own === '443' && url.protocol !== 'https:')) return false
    return wild ? url.hostname.endsWith(`.${name}`) : url.hostname === name
  })
}
