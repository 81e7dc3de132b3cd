/** A latency goal as the command line gives it: `p95=200`, `p99.9=1000`, `p95=200ms`, `p95=2s`. */
export interface Goal {
  readonly quantile: number
  readonly ms: number
}

/** `undefined` where it is none. */
export function goalOf(text: string): Goal | undefined {
  const match = /^p(\d{1,2}(?:\.\d{1,3})?)\s*[=<]\s*(\d+(?:\.\d+)?)(ms|s)?$/i.exec(text.trim())
  if (match === null) return undefined
  const [, percentile = '', amount = '', unit = 'ms'] = match
  const quantile = Number(percentile) / 100
  const ms = Number(amount) * (unit.toLowerCase() === 's' ? 1000 : 1)
  return quantile > 0 && ms > 0 ? { quantile, ms } : undefined
}
