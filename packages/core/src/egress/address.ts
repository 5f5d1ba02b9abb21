/**
 * Which addresses belong to the machine or its network, so that no request an agent makes may go there unless somebody
 * has said so: cloud metadata, databases, the application itself.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whether an IP address is one of the public internet. Anything that is not known to be is not. */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false
  try {
    // An IPv4 address in IPv6's clothes is judged as what it is.
    const address = ipaddr.process(text)
    if (address.range() !== 'unicast' || PLATFORM.has(address.toString())) return false
    // RFC 4291 and IANA's registry: global unicast is 2000::/3, and everything else has a purpose of its own.
    return address.kind() === 'ipv4' || ((address as ipaddr.IPv6).parts[0] ?? 0) >> 13 === 1
  } catch {
    return false
  }
}

/**
 * Whether a URL names a private place by itself, before anything is resolved: an address that is not public, in any
 * spelling that URLs have, or a name that never leads outside (RFC 6761, RFC 8375, ICANN's `.internal`).
 */
export function namesPrivatePlace(url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (isIP(host) !== 0) return !isPublicAddress(host)
  return !host.includes('.') || PRIVATE_NAME.test(host)
}

/** Public by its number, but reached only inside: the host that virtual machines of Azure ask about themselves. */
const PLATFORM = new Set(['168.63.129.16'])

const PRIVATE_NAME = /\.(localhost|local|internal|home\.arpa)$/
