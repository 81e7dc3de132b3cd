/**
 * Text for a terminal: what comes from data is made harmless, and measured in cells.
 *
 * A route's name, an error or a line of SQL may hold anything, also the escape sequences that
 * move the cursor, rename the window or hide text, and the marks that turn the direction of
 * writing. `printable` shows them as `\x1b` and `\u202e` instead of sending them. Only this
 * module's `paint` writes escape sequences.
 */

// Controls of ASCII and Latin-1, line and paragraph separators, direction marks, the byte order mark.
const UNPRINTABLE =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

/** One line: every control character is shown as its escape. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeOf)
}

/** Several lines: line feeds stay, tabs become two spaces, a carriage return before a feed goes. */
export function printableLines(text: string): string[] {
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => printable(line.replaceAll('\t', '  ')))
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

// Enough of Unicode's East Asian Width (UAX 11) to keep a table straight.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const WITHOUT_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u

/** Cells that a printable text takes. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let cells = 0
  for (const character of text) {
    if (WITHOUT_WIDTH.test(character)) continue
    cells += WIDE.test(character) ? 2 : 1
  }
  return cells
}

export function padEnd(text: string, cells: number): string {
  return text + ' '.repeat(Math.max(0, cells - widthOf(text)))
}

export function padStart(text: string, cells: number): string {
  return ' '.repeat(Math.max(0, cells - widthOf(text))) + text
}

/** At most `cells`; what is cut off becomes `…`. */
export function clip(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text
  let kept = ''
  let used = 1
  for (const character of text) {
    used += widthOf(character)
    if (used > cells) break
    kept += character
  }
  return `${kept}…`
}

/** At most `cells`, of which a third are of the end: long routes begin alike. */
export function clipMiddle(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text
  const tail = Math.floor(cells / 3)
  let kept = ''
  for (const character of Array.from(text).reverse()) {
    if (widthOf(character + kept) > tail) break
    kept = character + kept
  }
  return `${clip(text, cells - widthOf(kept))}${kept}`
}

/** Breaks at spaces; a word longer than the line is broken anywhere. */
export function wrap(text: string, cells: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`
    if (widthOf(joined) <= cells) {
      line = joined
      continue
    }
    if (line !== '') lines.push(line)
    line = ''
    for (const character of word) {
      if (line !== '' && widthOf(line + character) > cells) {
        lines.push(line)
        line = ''
      }
      line += character
    }
  }
  return [...lines, line]
}

/** `dim` is a grey that keeps its contrast, unlike the attribute of that name on many terminals. */
export type Colour =
  | 'bold'
  | 'dim'
  | 'red'
  | 'green'
  | 'yellow'
  | 'blue'
  | 'magenta'
  | 'cyan'
  | 'onBlue'
  | 'onRed'
  | 'onYellow'
  | 'onCyan'
  | 'onMagenta'
  | 'onGreen'
  | 'onWhite'
  | 'onGrey'

const codes: Readonly<Record<Colour, readonly [on: string, off: string]>> = {
  bold: ['1', '22'],
  dim: ['90', '39'],
  red: ['31', '39'],
  green: ['32', '39'],
  yellow: ['33', '39'],
  blue: ['34', '39'],
  magenta: ['35', '39'],
  cyan: ['36', '39'],
  onBlue: ['97;44', '39;49'],
  onRed: ['97;41', '39;49'],
  onYellow: ['30;43', '39;49'],
  onCyan: ['30;46', '39;49'],
  onMagenta: ['97;45', '39;49'],
  onGreen: ['30;42', '39;49'],
  onWhite: ['30;47', '39;49'],
  onGrey: ['97;100', '39;49'],
}

export type Paint = (colour: Colour, text: string) => string

export function painter(isColoured: boolean): Paint {
  if (!isColoured) return (_colour, text) => text
  return (colour, text) => {
    if (text === '') return ''
    const [on, off] = codes[colour]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }
}

/** NO_COLOR and FORCE_COLOR decide where they are set (no-color.org), else whether it is a terminal. */
export function isColoured(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '')
    return env['FORCE_COLOR'] !== '0'
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}
