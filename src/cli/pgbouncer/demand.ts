/**
 * Demand: how many server connections are busy on average, and where that is known from.
 *
 * By Little's law it is transactions per second × the time each holds a server. Three sources: numbers
 * that the user gives; a document of `hasten doctor`, which has measured requests with their time in
 * the database; a running system (live.ts), where PgBouncer itself or the server's own view tells it.
 */
import { readFile } from 'node:fs/promises'
import { HastenError } from '../../core/errors.ts'
import type { DoctorDocument } from '../../report/index.ts'

export interface Demand {
  readonly transactionsPerSecond: number
  /** How long each holds a server connection, ms. */
  readonly holdMs: number
  /** Most that were seen busy at one moment, where moments were looked at. */
  readonly peakBusy?: number
  /** A sentence, no full stop. */
  readonly source: string
  /** What may make it wrong: sentences. */
  readonly notes: readonly string[]
}

export function busyOf({ transactionsPerSecond, holdMs }: Demand): number {
  return (transactionsPerSecond * holdMs) / 1_000
}

export function demandFromNumbers(transactionsPerSecond: number, holdMs: number): Demand {
  return {
    transactionsPerSecond,
    holdMs,
    source: '--rate and --service-ms, as given',
    notes: [],
  }
}

/**
 * @param requestsPerSecond that is to be borne, where it is not the rate of the measurement
 * @throws OPTION_INVALID where the file is no doctor's document, or saw no database
 */
export async function demandFromDoctor(file: string, requestsPerSecond?: number): Promise<Demand> {
  const { load, routes } = await readDocument(file)
  const requests = routes.reduce((sum, route) => sum + route.requests, 0)
  const statements = routes.reduce((sum, each) => sum + each.requests * each.queriesPerRequest, 0)
  const dbMs = routes.reduce((sum, each) => sum + each.requests * each.dbMs, 0)
  if (requests === 0 || statements === 0 || dbMs === 0) {
    throw invalid(`--from ${file} saw no statement in ${requests} requests: nothing to size by`)
  }
  const measured = load.seconds > 0 ? requests / load.seconds : load.ratePerSecond
  const perSecond = requestsPerSecond ?? measured
  return {
    transactionsPerSecond: (perSecond * statements) / requests,
    holdMs: dbMs / statements,
    source: `${file}: ${round(statements / requests)} statements per request, ${round(dbMs / statements)} ms each, at ${
      requestsPerSecond === undefined
        ? `the ${round(measured)} requests per second that were measured`
        : `the ${round(perSecond)} requests per second of --rate (measured at ${round(measured)})`
    }`,
    notes: [
      'A transaction of several statements holds its server connection between them too, which the document does not tell.',
      ...(requestsPerSecond !== undefined && requestsPerSecond > 2 * measured
        ? [
            'The rate is more than twice the measured one: statements may take longer under it. Measure there.',
          ]
        : []),
    ],
  }
}

async function readDocument(file: string): Promise<DoctorDocument> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw invalid(`--from ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid(`--from ${file} is no JSON; make it by: hasten doctor --json … > ${file}`)
  }
  if (isDocument(value)) return value
  throw invalid(
    `--from ${file} is no document of hasten doctor (routes with requests, queriesPerRequest and dbMs, load with seconds); make it by: hasten doctor --json … > ${file}`,
  )
}

function isDocument(value: unknown): value is DoctorDocument {
  const { load, routes } = (value ?? {}) as Partial<DoctorDocument>
  return (
    isNumber(load?.seconds) &&
    isNumber(load?.ratePerSecond) &&
    Array.isArray(routes) &&
    (routes as DoctorDocument['routes']).every(
      (route) =>
        isNumber(route?.requests) && isNumber(route.queriesPerRequest) && isNumber(route.dbMs),
    )
  )
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

export function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

function invalid(message: string): HastenError {
  return new HastenError('OPTION_INVALID', message)
}
