/**
 * Client signal: aborts when the HTTP client has gone before its answer was complete.
 *
 *   await pool.query({ text, values, signal: clientSignal(response) })
 *
 * Work that nobody waits for any more is then stopped on the database too. One signal for each
 * response, made when first asked for.
 */
interface Response {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

const signals = new WeakMap<object, AbortSignal>()

/** Of a `ServerResponse`; of Fastify's reply it is `reply.raw`. */
export function clientSignal(response: Response): AbortSignal {
  const known = signals.get(response)
  if (known !== undefined) return known
  const gone = new AbortController()
  const check = () => {
    if (!response.writableFinished) gone.abort(new Error('the client has gone'))
  }
  if (response.destroyed) check()
  else response.once('close', check)
  signals.set(response, gone.signal)
  return gone.signal
}
