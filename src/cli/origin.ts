/** Origin: where to send requests to a server that listens, `http://127.0.0.1:3000`. */
import { HastenError } from '../core/errors.ts'
import type { Listening } from './target/index.ts'

/** The first that listens, or the one on `port`. */
export function originOf(listening: readonly Listening[], port?: number): string {
  const found = listening.find((each) => port === undefined || each.port === port)
  if (found !== undefined) return urlOf(found)
  if (port === undefined) throw new HastenError('TARGET_EXITED', 'the command stopped listening')
  const ports = listening.map((each) => each.port).join(', ')
  throw new HastenError(
    'OPTION_INVALID',
    `--port ${port}: the command does not listen there, but on ${ports}`,
  )
}

function urlOf({ protocol, host, port }: Listening): string {
  // Listening on all addresses includes the loopback one.
  const isAny = host === '' || host === '0.0.0.0' || host === '::'
  const name = isAny ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return `${protocol}://${name}:${port}`
}
