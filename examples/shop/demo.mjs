/**
 * The main job on real input: the shop's database, its services and its API are started, and the
 * doctor examines the API as it would any other.
 *
 *   npm run demo                  the report, and report.html beside this file
 *   npm run demo -- --quick       shorter load
 *   npm run -s demo -- --json     the doctor's document on stdout, nothing else
 *
 * Every other option is the doctor's.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startShop } from './start.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

/** @param {readonly string[]} argv @returns {Promise<number>} exit code of the doctor */
export async function demo(argv) {
  const shop = await startShop(bar)
  try {
    return await doctor(argv, shop.env)
  } finally {
    await shop.stop()
  }
}

async function doctor(argv, env) {
  const own = argv.filter((argument) => argument !== '--quick')
  const length = own.length < argv.length ? ['--seconds', '8', '--solo', '3'] : []
  const html = own.includes('--html') ? [] : ['--html', here('report.html')]
  const traffic = ['--requests', here('requests.jsonl')]
  const child = spawn(
    process.execPath,
    [
      here('../../dist/cli/main.js'),
      ...['doctor', ...traffic, ...html, ...length, ...own],
      ...['--', process.execPath, here('before/server.js')],
    ],
    { stdio: 'inherit', env: { ...process.env, ...env } },
  )
  // Ctrl-C reaches the child by itself: it reports what it has, then we clean up behind it.
  const wait = () => {}
  process.on('SIGINT', wait)
  const [code, signal] = await once(child, 'exit')
  process.off('SIGINT', wait)
  return code ?? (signal === 'SIGINT' ? 130 : 1)
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
