/**
 * The main job on real input: the shop's database, its services and its API are started, and the
 * doctor examines the API as it would any other.
 *
 *   npm run demo                  the report, and report.html beside it
 *   npm run demo -- --quick       shorter load
 *   npm run -s demo -- --json     the doctor's document on stdout, nothing else
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '#services/postgres.js'
import { load, version } from './data/load.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const cli = createRequire(import.meta.url).resolve('#src/cli/main.js')

/** @param {readonly string[]} argv @returns {Promise<number>} exit code of the doctor */
export async function demo(argv) {
  const isQuick = argv.includes('--quick')
  const own = argv.filter((argument) => argument !== '--quick')
  const toStop = []
  try {
    const postgres = await startPostgres({ name: `shop-${version}`, keep: true, settings })
    toStop.push(() => postgres.stop())
    await load(postgres.url(), bar)
    const services = await startServices()
    toStop.push(() => services.kill())
    return await doctor(own, isQuick, {
      DATABASE_URL: postgres.url(),
      SERVICES_URL: `http://127.0.0.1:${services.port}`,
      PORT: '0',
    })
  } finally {
    for (const stop of toStop.reverse()) await stop()
  }
}

// A demo's data can be made anew: what guards it against power cuts only costs time here.
const settings = { fsync: 'off', synchronous_commit: 'off', max_connections: '200' }

async function startServices() {
  const child = fork(here('services/server.js'), {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [{ port }] = await once(child, 'message')
  return { port, kill: () => child.kill() }
}

async function doctor(argv, isQuick, env) {
  const html = argv.includes('--html') ? [] : ['--html', here('report.html')]
  const length = isQuick ? ['--seconds', '8', '--solo', '3'] : []
  const child = spawn(
    process.execPath,
    [
      cli,
      'doctor',
      ...['--requests', here('requests.jsonl')],
      ...html,
      ...length,
      ...argv,
      '--',
      process.execPath,
      here('before/server.js'),
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
  const width = 30
  const full = Math.round(done * width)
  if (process.stderr.isTTY) {
    const line = `  making the shop's data  ${'█'.repeat(full)}${'░'.repeat(width - full)} ${Math.round(done * 100)} %  ${what}`
    process.stderr.write(`\r\x1b[2K${line}${done === 1 ? '\n' : ''}`)
  } else if (done === 1) {
    process.stderr.write("  the shop's data is made\n")
  }
}
