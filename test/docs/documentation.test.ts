/**
 * Documentation runs: code in README.md and docs/ is compiled against the package as it is, JSON is
 * parsed, links lead somewhere. A fence with `no-check` behind its language is left out.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { root } from '../structure/sources.ts'
import { type CodeBlock, codeBlocks, pages } from './code-blocks.ts'

const typed = ['js', 'ts', 'mjs', 'javascript', 'typescript']

test('code compiles against the package', async () => {
  const blocks = checked().filter(({ language }) => typed.includes(language))
  assert.ok(blocks.length > 0, 'no code was found')

  const folder = join(root, 'build', 'docs')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const names = blocks.map((block) => write(folder, block))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project(names)))
  const said = await compile(folder)

  assert.equal(said, '')
})

test('JSON is JSON', () => {
  const wrong = checked()
    .filter(({ language }) => language === 'json')
    .filter(({ code }) => !isJson(code))

  assert.deepEqual(wrong.map(place), [])
})

test('links inside the documentation lead somewhere', () => {
  const wrong = pages().flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8')
    return [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page} → ${target}`)
  })

  assert.deepEqual(wrong, [])
})

function checked(): CodeBlock[] {
  return codeBlocks().filter(({ words }) => !words.includes('no-check'))
}

/** At the same line as on its page, so that the compiler's messages name the right one. */
function write(folder: string, { page, line, language, code }: CodeBlock): string {
  const kind = language.startsWith('t') ? 'ts' : 'js'
  const name = `${page.replaceAll('/', '-')}-${line}.${kind}`
  writeFileSync(join(folder, name), `${'\n'.repeat(line - 1)}${code}\nexport {}\n`)
  return name
}

function project(files: readonly string[]): object {
  return {
    extends: '../../tsconfig.json',
    compilerOptions: {
      rootDir: '../..',
      noEmit: true,
      allowJs: true,
      checkJs: true,
      declaration: false,
      isolatedDeclarations: false,
      erasableSyntaxOnly: false,
      // An example may leave out what the reader would fill in.
      noUnusedLocals: false,
      noUnusedParameters: false,
      noImplicitAny: false,
    },
    files,
  }
}

/** What the compiler said of the blocks; nothing where all is well. Sources are the build's affair. */
async function compile(folder: string): Promise<string> {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  try {
    await promisify(execFile)(process.execPath, [tsc, '-p', folder])
    return ''
  } catch (error) {
    const lines = (error as { stdout: string }).stdout.split('\n')
    return lines.filter((line) => /^(build[/]docs|error)/.test(line)).join('\n')
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function place({ page, line }: CodeBlock): string {
  return `${page}:${line}`
}
