/**
 * Signals that end a command of ours. A closed terminal is one: the server has a session of its own,
 * and would outlive us.
 */
export const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
