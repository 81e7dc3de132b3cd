/**
 * Propagation: hands the trace that a request came with on to the calls that it makes.
 *
 * Only a request that itself carried `traceparent` sends one on, whichever host it calls: where nobody
 * traces, no header is added to anybody's call. A header that is there already (OpenTelemetry's, the
 * application's own) stays. `HASTEN_PROPAGATE=0` switches it off.
 */
import { traceparent } from '../exporters/index.ts'
import type { Timeline } from '../timing/index.ts'

const isOn = process.env['HASTEN_PROPAGATE'] !== '0'

export function propagate(
  timeline: Timeline,
  isSet: () => boolean,
  set: (value: string) => void,
): void {
  if (isOn && timeline.traceId !== undefined && !isSet()) set(traceparent(timeline))
}
