/**
 * Figures as people read them: three digits at the most, the unit beside them, the same on the
 * terminal and on the page. What is not known is a dash, never a zero.
 */

/** `0.12 ms`, `3.4 ms`, `123 ms`, `2.1 s`, `95 s`. */
export function milliseconds(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  const size = Math.abs(ms)
  if (size < 0.005) return '0 ms'
  if (size < 0.995) return `${ms.toFixed(2)} ms`
  if (size < 9.95) return `${ms.toFixed(1)} ms`
  if (size < 999.5) return `${ms.toFixed(0)} ms`
  return size < 9950 ? `${(ms / 1000).toFixed(1)} s` : `${count(ms / 1000)} s`
}

/** `12,340`; fractions are rounded away. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value).toFixed(0)
  const text = digits.replace(/\B(?=(\d{3})+$)/g, ',')
  return value < 0 && digits !== '0' ? `-${text}` : text
}

/** `47`, `2.5`, `0.03`: an average of a count. */
export function average(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 99.95) return count(value)
  return String(Number(value.toFixed(size < 0.095 ? 2 : 1)))
}

/** `41 %`, `0.3 %`, of a number between 0 and 1. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–'
  const value = share * 100
  const size = Math.abs(value)
  if (size > 0 && size < 0.05) return '< 0.1 %'
  return `${Number(value.toFixed(size < 0.95 ? 1 : 0))} %`
}

/** `1 request`, `12,340 requests`. */
export function counted(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${Math.round(value) === 1 ? one : many}`
}
