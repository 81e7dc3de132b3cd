/**
 * `npm test`: sets up, starts the services once, and runs every test file.
 *
 *   npm test                              everything
 *   npm test -- --only observe/pg         files whose path holds this
 *   npm test -- --name "a forgotten"      tests whose name matches this
 *   npm run test:unit                     what needs no service
 *
 * Files are those of the sources: what an older build left behind is not run. In CI a service that
 * cannot be had is a failure, elsewhere its tests are skipped with the reason.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { relative, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { filesBelow, root, setUp } from './setup.mjs'

const { values: options } = parseArgs({
  options: {
    unit: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    name: { type: 'string', multiple: true, default: [] },
    /** Another Node than the one that runs this, for the matrix. */
    node: { type: 'string', default: process.execPath },
  },
})

/** Longest that a single test may take. */
const TEST_MS = 300_000

setUp()
const files = testFiles()
if (files.length === 0) {
  process.stderr.write(`no test file's path holds ${options.only.join(' or ')}\n`)
  process.exit(1)
}
// Ctrl-C reaches the tests by itself; we stay until they are done and the services stopped.
process.on('SIGINT', () => {})
const services = options.unit ? undefined : await startServices()
try {
  process.exitCode = await runTests(services?.env ?? {})
} finally {
  await services?.stop()
}

function testFiles() {
  const folders = options.unit ? ['src', 'test/structure'] : ['src', 'test']
  return folders
    .flatMap(filesBelow)
    .map((file) => relative(root, file).split(sep).join('/'))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => options.only.length === 0 || options.only.some((part) => file.includes(part)))
    .map((file) => file.replace(/^src\//, 'dist/').replace(/^test\//, 'build/test/'))
    .map((file) => file.replace(/\.ts$/, '.js'))
}

/** One PostgreSQL for all files, each of which makes a database of its own in it. */
async function startServices() {
  const { startPostgres } = await import('../build/services/postgres.js')
  const { redisProgram } = await import('../build/services/redis.js')
  const { serviceOr } = await import('../build/services/missing-service.js')
  const onProgress = (what) => process.stderr.write(`  ${what}\n`)
  // Fetched before the first test that needs it has its time measured.
  const redis = await serviceOr(() => redisProgram(onProgress))
  if (typeof redis === 'string') onProgress(redis)
  const settings = { max_connections: '400', shared_preload_libraries: 'pg_stat_statements' }
  const given = process.env.HASTEN_TEST_POSTGRES
  if (given !== undefined && given !== '') return { env: {}, stop: async () => {} }
  const postgres = await serviceOr(() => startPostgres({ onProgress, settings }))
  if (typeof postgres !== 'string') {
    return { env: { HASTEN_TEST_POSTGRES: postgres.url() }, stop: () => postgres.stop() }
  }
  onProgress(postgres)
  return { env: {}, stop: async () => {} }
}

/** Files that look at how long something takes run alone, the others side by side: they mostly wait. */
async function runTests(env) {
  const isTimed = (file) => /^build\/test\/(?:doctor|load|report|package)\//.test(file)
  const groups = [
    { group: files.filter((file) => !isTimed(file)), atOnce: Math.max(2, availableParallelism()) },
    { group: files.filter(isTimed), atOnce: 1 },
  ]
  let failed = 0
  for (const { group, atOnce } of groups) {
    if (group.length > 0) failed = (await runGroup(group, atOnce, env)) || failed
  }
  return failed
}

async function runGroup(group, atOnce, env) {
  const args = [
    '--enable-source-maps',
    '--test',
    '--test-reporter=spec',
    `--test-timeout=${TEST_MS}`,
    `--test-concurrency=${atOnce}`,
  ]
  for (const name of options.name) args.push(`--test-name-pattern=${name}`)
  const child = spawn(options.node, [...args, ...group], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env, NODE_TEST_CONTEXT: undefined },
  })
  const forward = () => child.kill('SIGTERM')
  process.on('SIGTERM', forward)
  const [code] = await once(child, 'exit')
  process.off('SIGTERM', forward)
  return code ?? 1
}
