/**
 * Cancellation: stops the statement at the head of a connection, and nothing else.
 *
 *   ask ─▶ the connection drains, takes nothing new ─▶ the server has closed the request,
 *                                                       all under way is answered ─▶ goes on
 *
 * A request names a connection, not a statement, and may hit what comes after; what was hit by mistake
 * is repeated by whoever sees the answer (`hasBeenCancelled`). One that came to nothing is repeated,
 * less and less often. A statement that does not end within `LIMIT_MS` takes its connection with it.
 * Behind a pooler the request is passed on in the pooler's own time: the connection is not used again.
 */
import type { Call } from './call.ts'
import { cancelRequest } from './cancel-request.ts'
import type { ConnectionSet } from './connection-set.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** A statement that has been cancelled must end within this, or its connection is replaced. */
export const CANCEL_LIMIT_MS = 2_000
const AGAIN_MS = 25

export class Cancellation {
  readonly #set: ConnectionSet
  readonly #counts: { cancelled: number }
  readonly #over: (connection: PooledConnection) => void

  /** `over`: the last request for a connection has been closed. */
  constructor(
    set: ConnectionSet,
    counts: { cancelled: number },
    over: (connection: PooledConnection) => void,
  ) {
    this.#set = set
    this.#counts = counts
    this.#over = over
  }

  ask(connection: PooledConnection): void {
    this.#counts.cancelled += 1
    connection.cancels += 1
    connection.hasBeenCancelled = true
    connection.isDraining = true
    const head = connection.calls[0]
    if (head !== undefined) {
      head.cancelRequests += 1
      const limit = setTimeout(() => {
        if (isStillAt(connection, head)) {
          this.#set.destroy(connection, new Error('a cancelled statement did not end'))
        }
      }, CANCEL_LIMIT_MS)
      limit.unref()
    }
    void cancelRequest(connection.client, connection.stream).then(() => {
      connection.cancels -= 1
      if (connection.cancels > 0 || connection.isLost) return
      connection.isDraining = false
      if (this.#set.isPooled) this.#set.retireWhenFree(connection)
      this.#over(connection)
    })
  }

  /** The head is one whose caller has gone. */
  askFor(connection: PooledConnection, head: Call): void {
    if (head.cancelRequests === 0) {
      this.ask(connection)
      return
    }
    const again = setTimeout(
      () => {
        if (isStillAt(connection, head) && connection.cancels === 0) this.ask(connection)
      },
      AGAIN_MS * 2 ** head.cancelRequests,
    )
    again.unref()
  }
}

function isStillAt(connection: PooledConnection, head: Call): boolean {
  return connection.calls[0] === head && !connection.isLost
}
