/**
 * A server that answered and is not the one that is wanted: a standby where a primary is. It may be
 * another by the next try: that is what a failover does.
 */
export class WrongServer extends Error {
  override readonly name = 'WrongServer'
}
