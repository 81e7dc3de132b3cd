/**
 * The main job on real input: the shop's database, its services and its API are started, the doctor
 * examines the API as it would any other, and before is held against after.
 *
 *   before ──▶ the doctor's findings ──▶ after: one module, shown ──▶ the story's table so far
 *
 *   npm run demo                  all of it, and the doctor's report.html beside this file
 *   npm run demo -- --quick       shorter load at a given rate, no search for the highest
 *   npm run -s demo -- --json     the doctor's document on stdout, nothing else
 *
 * Every other option is the doctor's.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isColoured, painter, Progress, renderTerminal } from '#src/report/index.js'
import { startShop } from './start.js'
import { compareShop, ratePerSecond, storyTable, traffic } from './story.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const page = here('report.html')
const color = isColoured(process.stdout)
const paint = painter(color)

/** @param {readonly string[]} argv @returns {Promise<number>} exit code of the doctor */
export async function demo(argv) {
  const isQuick = argv.includes('--quick')
  const options = argv.filter((argument) => argument !== '--quick')
  const isAlone = options.includes('--json') || options.includes('--help')
  // Ctrl-C reaches the doctor by itself: it reports what it has, then we clean up behind it.
  const interrupt = new AbortController()
  const onSignal = () => interrupt.abort(new Error('interrupted'))
  process.on('SIGINT', onSignal)
  const shop = await startShop(bar)
  try {
    if (isAlone) return (await doctor({ options, isQuick, env: shop.env, isAlone })).code
    chapter('BEFORE', 'the API as it was, seen by the doctor')
    const { code, document } = await doctor({ options, isQuick, env: shop.env })
    if (document === undefined) return code
    say(renderTerminal(document, { color, width: process.stdout.columns ?? 100 }))
    if (!options.includes('--html')) say(`The same as a page: ${page}`)
    if (interrupt.signal.aborted) return code
    chapter('AFTER', 'the same API on the pool of hasten; nothing else is changed')
    say(indented(readFileSync(here('after/database.js'), 'utf8')))
    await compare({
      isQuick,
      env: shop.env,
      signal: interrupt.signal,
      limitMs: isQuick ? 58_000 : 174_000,
      ratePerSecond: rateOf(document),
    })
    return code
  } finally {
    process.off('SIGINT', onSignal)
    await shop.stop()
  }
}

/** Its own words go to stderr as they come; the document is caught, unless it is all that is wanted. */
async function doctor({ options, isQuick, env, isAlone = false }) {
  // A rate that any machine holds, instead of the search for one.
  const length = isQuick ? ['--seconds', '6', '--solo', '3', '--rate', '30'] : []
  const html = options.includes('--html') ? [] : ['--html', page]
  const child = spawn(
    process.execPath,
    [
      here('../../dist/cli/main.js'),
      ...['doctor', '--requests', traffic, ...html, ...length, ...options],
      ...(isAlone ? [] : ['--json']),
      ...['--', process.execPath, here('before/server.js')],
    ],
    {
      stdio: ['inherit', isAlone ? 'inherit' : 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    },
  )
  const said = []
  child.stdout?.on('data', (chunk) => said.push(chunk))
  const [status, signal] = await once(child, 'close')
  const code = status ?? (signal === 'SIGINT' ? 130 : 1)
  const text = Buffer.concat(said).toString()
  return { code, document: text.startsWith('{') ? JSON.parse(text) : undefined }
}

/** Where before is busy and keeps up. A machine that is no measure of it gets a rate that shows something. */
function rateOf({ load }) {
  const found = Math.round(load.ratePerSecond)
  return found >= 20 && found <= 400 ? found : ratePerSecond
}

async function compare(options) {
  const progress = new Progress()
  try {
    const compared = await compareShop({ ...options, progress })
    chapter('THE STORY SO FAR', 'before against after under the same traffic, in turns')
    say(storyTable(compared, paint))
  } catch (error) {
    if (!options.signal.aborted) throw error
    process.stderr.write('interrupted: before and after were not compared\n')
  } finally {
    progress.clear()
  }
}

function chapter(title, what) {
  say(`\n${paint('bold', title)}  ${what}\n`)
}

function say(text) {
  process.stdout.write(`${text}\n`)
}

function indented(text) {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

function bar(done, what) {
  if (!process.stderr.isTTY) {
    if (done === 1) process.stderr.write("the shop's data is made\n")
    return
  }
  const full = Math.round(done * 30)
  const line = `making the shop's data  ${'█'.repeat(full)}${'░'.repeat(30 - full)} ${Math.round(done * 100)} %  ${what}`
  process.stderr.write(`\r\x1b[2K${line}${done === 1 ? '\n' : ''}`)
}
