/** hasten: makes HTTP APIs on PostgreSQL fast. Each part is a subpath of its own. */
export { type ErrorCode, HastenError, isHastenError } from './core/errors.ts'
export { timing } from './timing/index.ts'
