/**
 * Hosts: where a connection may go, read from what the user gave, by libpq's rules [1].
 *
 *   postgres://u:p@h1:5432,h2:5433/db?target_session_attrs=read-write
 *   { host: 'h1,h2', port: '5432,5433' }          PGHOST=h1,h2
 *        │
 *        ▼
 *   h1:5432 ── config for one client ─┐   tried in order, or shuffled each time where
 *   h2:5433 ── config for one client ─┘   load_balance_hosts=random
 *
 * `pg` knows one host only, and `pg-connection-string` fails at the comma. So each host gets a
 * configuration of its own: the user's with host and port replaced, in the connection string where
 * there is one, because there it wins. A configuration that names one host is handed on as it is,
 * the very object. The user's is never changed.
 *
 * Rules: one port serves all hosts, otherwise there are as many as hosts; an empty one is 5432.
 * Messages never quote the connection string: a password with a stray `/` or `,` would be in it.
 * `hostaddr` and passwords by host (`.pgpass`) are `pg`'s affair, and it has none.
 *
 * [1] https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 */
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { type TargetSessionAttrs, targetsOfSession } from './session-target.ts'

export interface Host {
  /** For messages: `h1:5432`. */
  readonly name: string
  readonly config: object
}

export interface Hosts {
  readonly list: readonly Host[]
  readonly target: TargetSessionAttrs
  readonly isShuffled: boolean
  /** `connect_timeout` of the connection string, for each host. */
  readonly timeoutMs: number | undefined
}

/** What we read of the user's configuration; everything else is `pg`'s. */
interface HostConfig {
  readonly connectionString?: unknown
  readonly host?: unknown
  readonly port?: unknown
  readonly targetSessionAttrs?: unknown
  readonly target_session_attrs?: unknown
  readonly loadBalanceHosts?: unknown
  readonly load_balance_hosts?: unknown
}

interface Address {
  readonly host: string
  readonly port: string
}

const DEFAULT_PORT = '5432'

export function hostsOf(
  config: object,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Hosts {
  const given = config as HostConfig
  const url = typeof given.connectionString === 'string' ? urlParts(given.connectionString) : null
  const parameters = url?.parameters
  return {
    list: url
      ? ofUrl(config, given.connectionString as string, url, env)
      : ofConfig(config, given, env),
    target: oneOf('targetSessionAttrs', targetsOfSession, 'any', [
      parameters?.get('target_session_attrs'),
      given.targetSessionAttrs,
      given.target_session_attrs,
      env['PGTARGETSESSIONATTRS'],
    ]),
    isShuffled:
      oneOf('loadBalanceHosts', ['disable', 'random'], 'disable', [
        parameters?.get('load_balance_hosts'),
        given.loadBalanceHosts,
        given.load_balance_hosts,
        env['PGLOADBALANCEHOSTS'],
      ]) === 'random',
    timeoutMs: secondsOf(parameters?.get('connect_timeout')),
  }
}

interface UrlParts {
  /** `postgres://user:password@` */
  readonly before: string
  readonly authority: string
  /** `/db` */
  readonly path: string
  readonly parameters: URLSearchParams
}

/** `null` for what has no authority: a socket's path, or nothing that we understand. */
function urlParts(text: string): UrlParts | null {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)([^?#]*)(?:\?([^#]*))?/i.exec(text)
  if (match === null) return null
  const [, scheme = '', authority = '', path = '', query = ''] = match
  const at = authority.lastIndexOf('@') + 1
  return {
    before: scheme + authority.slice(0, at),
    authority: authority.slice(at),
    path,
    parameters: new URLSearchParams(query),
  }
}

function ofUrl(
  config: object,
  text: string,
  url: UrlParts,
  env: Readonly<Record<string, string | undefined>>,
): Host[] {
  const { before, path, parameters } = url
  const inQuery = parameters.get('host')
  const isList = /,/.test(inQuery || url.authority)
  const none = url.authority === '' && !inQuery
  if (none) return ofConfig(config, {}, env)
  const addresses = inQuery
    ? pairs(inQuery, parameters.get('port') ?? '')
    : authorityAddresses(url.authority, parameters.get('port'))
  if (!isList || !/^(postgres|postgresql):/i.test(text)) return [single(config, addresses[0])]
  const rest = new URLSearchParams(parameters)
  rest.delete('host')
  rest.delete('port')
  const query = rest.size > 0 ? `?${rest}` : ''
  return addresses.map((address) => ({
    name: nameOf(address),
    config: copy(config, {
      connectionString: `${before}${inUrl(address)}${path === '' ? '/' : path}${query}`,
    }),
  }))
}

function ofConfig(
  config: object,
  given: HostConfig,
  env: Readonly<Record<string, string | undefined>>,
): Host[] {
  const host = textOf(given.host) || env['PGHOST'] || 'localhost'
  const port = textOf(given.port) || env['PGPORT'] || ''
  const addresses = pairs(host, port)
  if (!host.includes(',')) return [single(config, addresses[0])]
  return addresses.map((address) => ({
    name: nameOf(address),
    config: copy(config, { host: address.host, port: Number(address.port) }),
  }))
}

function single(config: object, address: Address | undefined): Host {
  return { name: address === undefined ? 'the server' : nameOf(address), config }
}

/** Each host in the authority has its own port; `?port=` beats them, as in `pg-connection-string`. */
function authorityAddresses(authority: string, portParameter: string | null): Address[] {
  const hosts: string[] = []
  const ports: string[] = []
  for (const part of authority.split(',')) {
    const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(part)
    hosts.push(decodeHost((match?.[1] ?? part).replace(/^\[(.*)\]$/, '$1')))
    ports.push(match?.[2] ?? '')
  }
  return pairs(hosts.join(','), portParameter || ports.join(','))
}

function decodeHost(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function pairs(hostText: string, portText: string): Address[] {
  const hosts = hostText.split(',').map((host) => host.trim())
  const ports = portText.split(',').map((port) => port.trim())
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new HastenError(
      'OPTION_INVALID',
      `port must name one port, or as many as there are hosts: there are ${ports.length} ports for ${hosts.length} hosts`,
    )
  }
  return hosts.map((host, i) => {
    const port = (ports.length === 1 ? ports[0] : ports[i]) || DEFAULT_PORT
    // One host is `pg`'s affair, whatever it says.
    if (hosts.length > 1 && !(/^\d+$/.test(port) && Number(port) > 0 && Number(port) < 65_536)) {
      throw new HastenError(
        'OPTION_INVALID',
        `port must be a number from 1 to 65535, that of host ${i + 1} of ${hosts.length} is none`,
      )
    }
    return { host: host || 'localhost', port }
  })
}

function nameOf({ host, port }: Address): string {
  return host.startsWith('/')
    ? `${host}/.s.PGSQL.${port}`
    : `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function inUrl({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}`
}

/** By descriptors: pools hide `password` from enumeration, and a copy must not lose it. */
function copy(config: object, instead: Record<string, unknown>): object {
  return Object.create(Object.getPrototypeOf(config) as object | null, {
    ...Object.getOwnPropertyDescriptors(config),
    ...Object.getOwnPropertyDescriptors(instead),
  }) as object
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? String(value) : ''
}

function secondsOf(text: string | null | undefined): number | undefined {
  const seconds = Number(text ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined
}

/** The first that is given; the last of `values`, from the environment, only where none is. */
function oneOf<const T extends string>(
  option: string,
  known: readonly T[],
  fallback: T,
  values: readonly unknown[],
): T {
  const inOptions = values.slice(0, -1).filter((value) => value !== undefined && value !== null)
  for (const value of inOptions) {
    if (value === inOptions[0]) continue
    throw new HastenError(
      'OPTION_INVALID',
      `${option} is given twice and differs: ${inspect(inOptions[0])} and ${inspect(value)}`,
    )
  }
  const value = inOptions[0] ?? (values.at(-1) || fallback)
  const found = known.find((one) => one === value)
  if (found !== undefined) return found
  throw new HastenError(
    'OPTION_INVALID',
    `${option} must be one of ${known.join(', ')}, got ${inspect(value)}`,
  )
}
