/** Origin: where requests go, `http://127.0.0.1:3000`. */
import { isIPv4 } from 'node:net'
import { HastenError } from '../core/errors.ts'

/** The origin in its normal form, or OPTION_INVALID. */
export function originOf(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search) {
    throw new HastenError(
      'OPTION_INVALID',
      `origin must be an http or https URL without a path, got '${value}'`,
    )
  }
  return url.origin
}

/** The host is this machine, by name or address. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[|\]$/g, '')
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true
  const mapped = name.startsWith('::ffff:') ? name.slice(7) : name
  return isIPv4(mapped) && mapped.startsWith('127.')
}
