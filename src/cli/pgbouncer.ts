/**
 * `hasten pgbouncer`: a pgbouncer.ini and the pool's options, sized by what is needed.
 *
 *   numbers │ doctor's document │ PgBouncer's console │ the server  ─▶ demand ─▶ plan ─▶ file, words
 *
 * What may be asked for stands in pgbouncer/options.ts, the sums in pgbouncer/plan.ts. Nothing is
 * written over without `--force`, and no password is written or said: the user list is the reader's
 * own, by a statement that the file tells. Only `--start` makes one, in a folder that goes with
 * PgBouncer.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HastenError } from '../core/errors.ts'
import { endingSignals } from './ending-signals.ts'
import { adviceOn } from './pgbouncer/advice.ts'
import { type Demand, demandFromDoctor, demandFromNumbers } from './pgbouncer/demand.ts'
import { iniText } from './pgbouncer/ini.ts'
import {
  type ConsoleReading,
  measureServer,
  readConsole,
  readLimits,
  type ServerLimits,
} from './pgbouncer/live.ts'
import { assertSource, commandLine, type Given } from './pgbouncer/options.ts'
import { planFor } from './pgbouncer/plan.ts'
import { type BouncerProgram, findBouncer, runBouncer } from './pgbouncer/program.ts'
import { renderSizing } from './pgbouncer/report.ts'
import { type ServerPlace, serverPlace } from './pgbouncer/server-place.ts'
import { version } from './version.ts'

/** Returns the exit code. */
export async function pgbouncerCommand(argv: string[]): Promise<number> {
  const { values, command, isHelp } = commandLine.parse(argv)
  if (isHelp) {
    process.stdout.write(commandLine.help())
    return 0
  }
  if (command.length > 0) {
    throw invalid(`hasten pgbouncer runs no command of yours, got ${JSON.stringify(command[0])}`)
  }
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  for (const name of endingSignals) process.on(name, onSignal)
  try {
    return await size(values, interrupt.signal)
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error
    process.stderr.write('hasten: interrupted\n')
    return 130
  } finally {
    for (const name of endingSignals) process.off(name, onSignal)
  }
}

async function size(values: Given, signal: AbortSignal): Promise<number> {
  const { out, force, start, json, listen } = values
  assertSource(values)
  // Found before anything is measured for a minute.
  if (!existsSync(dirname(out))) {
    throw invalid(`${out} cannot be written: there is no folder ${dirname(out)}`)
  }
  if (!force && existsSync(out)) {
    throw invalid(`${out} is there already; --force writes over it, --out names another`)
  }
  const database = values.database ?? (process.env['DATABASE_URL'] || undefined)
  const place = serverPlace(values.database === undefined ? 'DATABASE_URL' : '--database', database)
  const program = await findBouncer(values.binary)
  if (start) assertStart(program, place)

  const facts = await collect(values, place, signal)
  const found = values['bouncer-version'] ?? facts.console?.version ?? program?.version
  const plan = planFor(facts.demand, {
    mode: values.mode,
    bouncer: found ?? [1, 18],
    processes: values.processes,
    waitChance: values['wait-percent'] / 100,
    headroom: values.headroom,
    maxConnections: values['max-connections'] ?? facts.limits?.maxConnections,
    keptFree: values['keep-free'] ?? (facts.limits?.reserved ?? 3) + 5,
    cores: values['db-cores'],
    deadlineMs: values['deadline-ms'],
  })
  const ini = iniText(plan, {
    listen,
    server: place,
    user: place.user,
    authFile: values['auth-file'],
    source: facts.demand.source,
    version: version(),
  })
  writeFileSync(out, ini, { flag: force ? 'w' : 'wx' })
  const pools = facts.console?.pools ?? []
  const report = {
    source: facts.demand.source,
    plan: { ...plan, warnings: [...facts.notes, ...plan.warnings] },
    pools,
    advice: adviceOn(pools, plan.servers),
    url: `postgres://${encodeURIComponent(place.user)}@${listen.host}:${listen.port}/${place.database === '*' ? 'database' : encodeURIComponent(place.database)}`,
    file: out,
  }
  process.stdout.write(
    json
      ? `${JSON.stringify({ version: version(), demand: facts.demand, ...report }, undefined, 2)}\n`
      : renderSizing(report),
  )
  if (!start || program === undefined) return 0
  await runBouncer({
    program,
    ini,
    authFile: values['auth-file'],
    login:
      place.password === undefined ? undefined : { user: place.user, password: place.password },
    signal,
    onReady: () => process.stderr.write(`hasten: PgBouncer serves ${report.url}; Ctrl-C ends it\n`),
  })
  return 130
}

interface Facts {
  readonly demand: Demand
  readonly limits: ServerLimits | undefined
  readonly console: ConsoleReading | undefined
  readonly notes: readonly string[]
}

async function collect(values: Given, place: ServerPlace, signal: AbortSignal): Promise<Facts> {
  const { rate, seconds, from } = values
  const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal })
  const console =
    values.console === undefined
      ? undefined
      : await readConsole('--console', values.console, seconds, wait)
  const given =
    rate !== undefined && values['service-ms'] !== undefined
      ? demandFromNumbers(rate, values['service-ms'])
      : from !== undefined
        ? await demandFromDoctor(from, rate)
        : undefined
  const demand = given ?? console?.demand
  if (demand === undefined && values.console !== undefined) {
    throw invalid(
      `--console shows no transaction in ${seconds} s: measure while the application works, or give --rate and --service-ms`,
    )
  }
  if (demand === undefined) {
    const measured = await measureServer(place.option, place.url ?? '', seconds, wait)
    return { ...measured, console, notes: measured.notes }
  }
  if (place.url === undefined || values['max-connections'] !== undefined) {
    return { demand, limits: undefined, console, notes: [] }
  }
  try {
    return { demand, console, ...(await readLimits(place.option, place.url)) }
  } catch (error) {
    // Asked for by name it must be there; the variable may be meant for another machine.
    if (values.database !== undefined) throw error
    return { demand, limits: undefined, console, notes: [`${(error as Error).message}.`] }
  }
}

function assertStart(program: BouncerProgram | undefined, place: ServerPlace): void {
  if (program === undefined) {
    throw new HastenError(
      'PGBOUNCER_NOT_STARTED',
      'there is no pgbouncer on this machine (on Debian: apt-get install pgbouncer); --binary names one elsewhere',
    )
  }
  if (place.url === undefined) {
    throw invalid(
      '--start needs the server: --database postgres://user:password@host:5432/database',
    )
  }
}

function invalid(message: string): HastenError {
  return new HastenError('OPTION_INVALID', message)
}
