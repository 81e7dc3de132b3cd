/**
 * Folding a path: what names one thing among many becomes `:id`, so that a route is a route.
 *
 *   /users/42?tab=orders            → /users/:id
 *   /orgs/acme/logo-4f3a9c1b2d.png  → /orgs/acme/:id.png
 *   /v1/en-US/faq                   → as it is
 *
 * Nobody tells which segments are parameters, so each segment is judged by its looks. Two errors are
 * possible, and they are not equal: a word taken for an id merges two routes into one, an id taken
 * for a word makes a route of its own for each request. Names that people write are therefore kept,
 * whatever looks drawn by lot is folded, and whoever keeps totals bounds their number besides.
 *
 * Folded are, in the order in which they are tried:
 *   - what holds `%`, `=`, `+`, an `@` inside, or a character that no readable path has
 *   - what is longer than 40 characters
 *   - numbers, dates, addresses, ranges: digits and punctuation alone
 *   - hex digits: 8 and more with a digit among them, 16 and more anyway; so UUIDs and hashes
 *   - five digits in a row, or three behind a dash (`order-123`, not `iso8601`)
 *   - tokens (ULID, nanoid, base64, a prefix with a token): letters and digits that change their
 *     kind more often than in words
 *
 * Kept in spite of looking so: versions (`v1`, `v1beta2`) and locales (`en-US`, `zh-Hant`, `es-419`).
 *
 * The result has at most 12 segments and 256 characters; beyond that it ends in `/*`. Cost: 0.1 µs
 * for a plain path, about 1 µs where there is something to fold (with regular expressions instead of
 * one pass it was 2 to 3); linear in the first 4,096
 * characters whatever they are, no regular expression sees more than 40.
 */

const MAX_INPUT = 4096
const MAX_SEGMENTS = 12
const MAX_LENGTH = 256
const MAX_SEGMENT = 40
const ID = ':id'
const REST = '/*'

const SLASH = 47
const SEMICOLON = 59
const DASH = 45
const AT = 64
const VERSION = /^v\d{1,4}(?:\.\d{1,4}){0,2}(?:(?:alpha|beta|rc)\d{0,3})?$/i
const LOCALE = /^[a-z]{2,3}(?:[-_][A-Z][a-z]{3})?(?:[-_](?:[A-Za-z]{2}|\d{3}))?$/
/** A closed list: an open one would let through any number of endings. */
const EXTENSIONS = new Set(
  [
    'json',
    'xml',
    'html',
    'htm',
    'csv',
    'pdf',
    'txt',
    'js',
    'mjs',
    'css',
    'map',
    'png',
    'jpg',
    'jpeg',
  ]
    .concat(['gif', 'webp', 'avif', 'svg', 'ico', 'woff', 'woff2', 'mp3', 'mp4', 'zip', 'gz'])
    .map((extension) => `.${extension}`),
)
const MAX_EXTENSION = 6

/** Kinds of characters, by code. */
const OTHER = 0
const LOWER = 1
const UPPER = 2
const DIGIT = 3
const MARK = 4
const kinds = new Uint8Array(128)
for (let code = 97; code <= 122; code++) kinds[code] = LOWER
for (let code = 65; code <= 90; code++) kinds[code] = UPPER
for (let code = 48; code <= 57; code++) kinds[code] = DIGIT
for (const mark of '-_.~@:$!*,') kinds[mark.charCodeAt(0)] = MARK

export function foldPath(path: string): string {
  const end = endOf(path)
  if (isPlain(path, end)) return path.slice(0, end)
  if (path === '*') return path

  let folded = ''
  let segments = 0
  let start = startOf(path, end)
  while (start < end) {
    let stop = path.indexOf('/', start)
    if (stop === -1 || stop > end) stop = end
    if (stop > start) {
      const segment = foldSegment(path, start, stop)
      segments += 1
      const length = folded.length + 1 + segment.length
      if (segments > MAX_SEGMENTS || length > MAX_LENGTH - REST.length) return folded + REST
      folded += `/${segment}`
    }
    start = stop + 1
  }
  return folded === '' ? '/' : folded
}

/** Where query string and fragment begin, or the limit. */
function endOf(path: string): number {
  const length = Math.min(path.length, MAX_INPUT)
  for (let i = 0; i < length; i++) {
    const code = path.charCodeAt(i)
    if (code === 63 || code === 35) return i
  }
  return length
}

/** Behind `http://host` where the request line held a whole URL. */
function startOf(path: string, end: number): number {
  if (path.charCodeAt(0) === SLASH) return 1
  const scheme = path.slice(0, 16).indexOf('://')
  if (scheme === -1) return 0
  const slash = path.indexOf('/', scheme + 3)
  return slash === -1 ? end : slash + 1
}

/** Lower-case words alone, nothing to fold and nothing to cut: most paths are. */
function isPlain(path: string, end: number): boolean {
  if (end > 64 || path.charCodeAt(0) !== SLASH) return false
  if (end === 1) return true
  let length = 0
  let segments = 1
  for (let i = 1; i < end; i++) {
    const code = path.charCodeAt(i)
    if (code === SLASH) {
      if (length === 0) return false
      length = 0
      segments += 1
    } else if (code < 128 && kinds[code] === LOWER && length < 15) length += 1
    else return false
  }
  return length > 0 && segments <= MAX_SEGMENTS
}

function foldSegment(path: string, start: number, end: number): string {
  // A matrix parameter (`;jsessionid=…`) is no part of the name.
  let stop = start + 1
  while (stop < end && path.charCodeAt(stop) !== SEMICOLON) stop += 1
  const dot = path.lastIndexOf('.', stop - 1)
  if (dot > start && stop - dot <= MAX_EXTENSION && stop - start <= MAX_SEGMENT) {
    const extension = path.slice(dot, stop).toLowerCase()
    if (EXTENSIONS.has(extension)) {
      return isId(path, start, dot) ? ID + extension : path.slice(start, stop)
    }
  }
  return isId(path, start, stop) ? ID : path.slice(start, stop)
}

function isId(path: string, start: number, end: number): boolean {
  if (end - start > MAX_SEGMENT) return true

  // Of the piece since the last mark, and of all.
  let piece = start
  let hex = 0
  let pieceDigits = 0
  let digits = 0
  let lower = 0
  let upper = 0
  let digitRun = 0
  // Pairs of neighbours, and those of them that are rare in words: letter beside digit, lower case
  // before upper case, two of upper case.
  let pairs = 0
  let changes = 0
  let rises = 0
  let shouts = 0
  let looksLikeId = false
  let last = MARK
  for (let i = start; i <= end; i++) {
    const code = i === end ? DASH : path.charCodeAt(i)
    const kind = code < 128 ? (kinds[code] as number) : OTHER
    if (kind === OTHER) return true
    if (kind === MARK) {
      if (code === AT && i > start) return true
      if (isHex(i - piece, hex, pieceDigits)) looksLikeId = true
      digits += pieceDigits
      hex = pieceDigits = digitRun = 0
      piece = i + 1
    } else {
      if (kind === DIGIT) {
        pieceDigits += 1
        hex += 1
        digitRun += 1
        // Behind a mark three are an id, glued to a word (`iso8601`) it takes five.
        if (digitRun >= 5 || (digitRun >= 3 && piece > start && digitRun === i + 1 - piece)) {
          looksLikeId = true
        }
      } else {
        digitRun = 0
        if (kind === UPPER) upper += 1
        else lower += 1
        const lowered = code | 32
        if (lowered >= 97 && lowered <= 102) hex += 1
      }
      if (last !== MARK) {
        pairs += 1
        if (kind !== last && (kind === DIGIT || last === DIGIT)) changes += 1
        else if (kind === UPPER && last === LOWER) rises += 1
        else if (kind === UPPER && last === UPPER) shouts += 1
      }
    }
    last = kind
  }

  if (lower + upper === 0) return digits > 0
  if (!looksLikeId && !looksDrawn(pairs, changes, rises, shouts, lower > 0 && upper > 0))
    return false
  const segment = path.slice(start, end)
  return !LOCALE.test(segment) && !VERSION.test(segment)
}

function isHex(length: number, hex: number, digits: number): boolean {
  return hex === length && (length >= 16 || (length >= 8 && digits > 0))
}

/**
 * In a token drawn from letters of both cases and digits half of all pairs are rare ones, in
 * `getOAuth2Token` a third, and in camel case alone nothing but rises. The longer the token, the
 * surer the share. Where there is one case alone, only the changes between letters and digits tell.
 */
function looksDrawn(
  pairs: number,
  changes: number,
  rises: number,
  shouts: number,
  isMixed: boolean,
): boolean {
  if (changes >= 4 || (changes >= 3 && pairs >= 8)) return true
  if (!isMixed || changes + shouts === 0) return false
  const rare = changes + rises + shouts
  return rare >= 5 && rare >= (pairs >= 15 ? 0.28 : 0.4) * pairs
}
