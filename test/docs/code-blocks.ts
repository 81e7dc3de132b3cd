/** Code blocks of README.md and docs/, each with the place where it stands. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../structure/sources.ts'

export interface CodeBlock {
  /** `docs/timing.md`. */
  readonly page: string
  /** Of its first line of code, counted from 1. */
  readonly line: number
  /** First word behind the fence. */
  readonly language: string
  /** The other words behind the fence. */
  readonly words: readonly string[]
  readonly code: string
}

export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
  return ['README.md', ...docs.map((name) => `docs/${name}`)].filter((page) =>
    existsSync(join(root, page)),
  )
}

export function codeBlocks(): CodeBlock[] {
  return pages().flatMap((page) => {
    const lines = readFileSync(join(root, page), 'utf8').split('\n')
    const blocks: CodeBlock[] = []
    let open: { line: number; words: string[] } | undefined
    for (const [index, line] of lines.entries()) {
      const fence = /^```(.*)$/.exec(line)
      if (fence === null) continue
      if (open === undefined) {
        open = { line: index + 2, words: (fence[1] ?? '').split(/\s+/) }
        continue
      }
      const [language = '', ...words] = open.words
      const code = lines.slice(open.line - 1, index).join('\n')
      blocks.push({ page, line: open.line, language, words, code })
      open = undefined
    }
    return blocks
  })
}
