/** Prose in lines: broken at spaces alone, since what is long is a name or an address to be copied. */

/** Of the lines that commands write, a terminal's colours and columns not asked. */
export const PROSE_WIDTH = 96

export function wrapProse(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
