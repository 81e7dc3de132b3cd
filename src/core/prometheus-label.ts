/** The value of a label in Prometheus' text format, between its quotes. */
export function prometheusLabel(value: string): string {
  return value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')
}
