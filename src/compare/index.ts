/** Compare: from runs of several versions of a server to what may be said about them. Pure. */
export {
  type CompareControl,
  type CompareDocument,
  type CompareLoad,
  type CompareRatio,
  type CompareSide,
  type ComparisonInput,
  compareMeasurements,
  nameOf,
} from './comparison.ts'
export { isMoreBetter, type Measurement, type Metric, metrics } from './measurement.ts'
export { type Turn, turnsOf } from './rounds.ts'
export type { MetricVerdict, Verdict } from './verdict.ts'
