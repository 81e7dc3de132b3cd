import { HastenError } from '../core/errors.ts'

/** What a pool answers after `end` or `close`, in the words of `pg`. */
export function poolEnded(): HastenError {
  return new HastenError('POOL_ENDED', 'Cannot use a pool after calling end on the pool')
}
