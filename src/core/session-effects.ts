/**
 * Session effects: what a statement leaves behind in its session when it has ended.
 *
 * A connection that goes from one caller to the next must be as it was. Asked of a text's tokens,
 * once for each shape, so that where nothing was touched nothing is put back, at no round trip. Each
 * doubt counts as an effect. What a function of the application's own does to the session (a
 * `set_config` within plpgsql) cannot be seen from outside; DO, CALL and EXECUTE count as all of them.
 */
export const sessionEffect = {
  settings: 1,
  role: 2,
  temporary: 4,
  listen: 8,
  prepared: 16,
  cursor: 32,
  locks: 64,
  /** Anything: only a reset of everything puts it back. */
  unknown: 128,
} as const

const { settings, role, temporary, listen, prepared, cursor, locks, unknown } = sessionEffect

const everything = new Set(['do', 'call', 'load', 'execute', 'discard'])

/** Bits of `sessionEffect`; tokens as `stripSql` gives them, of one statement or several. */
export function sessionEffectsOf(tokens: readonly string[]): number {
  let effects = 0
  for (let start = 0; start < tokens.length; ) {
    const end = tokens.indexOf(';', start)
    const stop = end === -1 ? tokens.length : end
    effects |= ofVerb(tokens, start)
    for (let i = start; i < stop; i++) effects |= ofWord(tokens, i)
    start = stop + 1
  }
  return effects
}

function ofVerb(tokens: readonly string[], at: number): number {
  const second = tokens[at + 1]
  switch (tokens[at]) {
    case 'set':
      if (second === 'local' || second === 'transaction' || second === 'constraints') return 0
      return settings | ofRole(tokens, at)
    case 'reset':
      return settings | ofRole(tokens, at)
    case 'listen':
    case 'unlisten':
      return listen
    case 'prepare':
      return second === 'transaction' ? 0 : prepared
    case 'deallocate':
      return prepared
    case 'declare':
      return cursor
    default:
      return everything.has(tokens[at] ?? '') ? unknown : 0
  }
}

function ofRole(tokens: readonly string[], at: number): number {
  const word = tokens[at + 1] === 'session' ? tokens[at + 2] : tokens[at + 1]
  const isRole = word === 'role' || word === 'authorization' || word === 'session_authorization'
  return isRole ? role : 0
}

function ofWord(tokens: readonly string[], at: number): number {
  const token = tokens[at] as string
  const word = token.charCodeAt(0) === 34 ? token.slice(1, -1) : token
  if (word === 'temp' || word === 'temporary') return isObject(tokens[at - 1]) ? temporary : 0
  if (word === 'pg_temp') return temporary
  if (tokens[at + 1] !== '(') return 0
  if (word === 'set_config') return settings | role
  if (/^pg_(?:try_)?advisory_lock(?:_shared)?$/.test(word)) return locks
  return /^dblink_(?:connect|open|send)/.test(word) ? unknown : 0
}

/** `create temp`, `create local temporary`, `or replace temp`, `into temp`. */
function isObject(before: string | undefined): boolean {
  return (
    before === 'create' ||
    before === 'local' ||
    before === 'global' ||
    before === 'replace' ||
    before === 'into'
  )
}
