/**
 * Folds a path into a pattern: `/users/42/orders?page=2` → `/users/:id/orders`.
 *
 * For servers whose router does not tell its pattern. A segment becomes `:id` when it looks like a
 * key rather than a word: numbers, UUIDs, hex of 8 and more with a digit, e-mail addresses, dates,
 * and long texts in which digits and letters or upper and lower case alternate (ULIDs, nanoids,
 * base64). Words, `v1`, `en-US`, `2fa` and file names stay.
 *
 * Bounded whatever comes: at most 12 segments of 64 characters, the rest is `*`. A path that is all
 * garbage still gives few patterns, since garbage looks like keys.
 */
const MAX_SEGMENTS = 12
const MAX_SEGMENT = 64

const number = /^[-+]?\d+(?:[.,]\d+)*$/
const uuid = /^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$/i
const hex = /^(?:0x)?(?=[a-f]*\d)[0-9a-f]{8,}$/i
const date = /^\d{4}-\d{2}(?:-\d{2})?(?:T[\d:.]+Z?)?$/
const prefixed = /^[a-z]{1,6}[-_]?\d{3,}$/i

export function foldPath(path: string): string {
  let end = path.length
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code === 63 /* ? */ || code === 35 /* # */ || code === 59 /* ; */) {
      end = i
      break
    }
  }
  if (end <= 1) return '/'
  let start = 0
  // An absolute form (`GET http://host/path`) is what proxies receive.
  if (path.charCodeAt(0) !== 47) {
    const scheme = path.indexOf('://')
    if (scheme === -1 || scheme > 8) return path === '*' ? '*' : '/*'
    start = path.indexOf('/', scheme + 3)
    if (start === -1 || start >= end) return '/'
  }
  let folded = ''
  let segments = 0
  while (start < end) {
    let stop = path.indexOf('/', start + 1)
    if (stop === -1 || stop > end) stop = end
    if (++segments > MAX_SEGMENTS) return `${folded}/*`
    if (stop > start + 1) folded += `/${foldSegment(path.slice(start + 1, stop))}`
    start = stop
  }
  return folded === '' ? '/' : folded
}

function foldSegment(segment: string): string {
  if (segment.length > MAX_SEGMENT) return ':id'
  const text = segment.includes('%') ? decoded(segment) : segment
  return isKey(text) ? ':id' : segment
}

function isKey(text: string): boolean {
  if (/^[a-z_-]+$/.test(text)) return text.length > 40
  if (number.test(text) || uuid.test(text) || hex.test(text) || date.test(text)) return true
  if (text.includes('@') && /^[^@\s]+@[^@\s]+$/.test(text)) return text.indexOf('@') > 0
  if (prefixed.test(text)) return true
  // What no router's word contains: spaces, control characters, letters outside of ASCII.
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u0020"<>\\^`{|}\u007f-\uffff]/.test(text)) return true
  return looksRandom(text)
}

/** Kinds of characters change more often than in a word: `01ARZ3NDEKTSV4RRFFQ69G5FAV`, `V1StGXR8_Z5jdHi`. */
function looksRandom(text: string): boolean {
  if (text.length < 10 || /\.[a-z][a-z0-9]{1,4}$/i.test(text)) return false
  const digits = text.replace(/\D/g, '').length
  const changes = (text.match(/[a-z](?=[A-Z0-9])|[A-Z](?=\d)|\d(?=[A-Za-z])/g) ?? []).length
  if (digits === 0) return text.length >= 16 && changes >= text.length / 4
  return changes >= 3 || (digits >= 6 && text.length >= 12)
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return ' '
  }
}
