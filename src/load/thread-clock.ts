/**
 * Thread clock: one time for all threads of a process, in milliseconds with microseconds behind the
 * point.
 *
 * `performance.now()` counts in each worker from that worker's own start. `process.hrtime()` is the
 * same clock in all of them.
 */
export function threadNow(): number {
  const [seconds, nanos] = process.hrtime()
  return seconds * 1000 + nanos / 1e6
}
