/**
 * Statement samples: for each statement one real call, so that the planner can be asked about it.
 *
 * A plan depends on values, and the stripped text has none. So the first text and values of each
 * statement are kept, here in the process and in memory only; they never go over the socket. With
 * them the parameters of the connection they ran on, not the client itself, which would keep a
 * socket alive that the application has let go of.
 *
 * Bounds: 500 statements, 4 MB in all, 64 kB each. What does not fit has no sample, and the doctor
 * is told so.
 */

/** What `new Client(…)` of pg takes; holds the password, so it is never serialised. */
export interface ConnectionParameters {
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: unknown
  readonly ssl?: unknown
  readonly options?: string
}

export interface StatementSample {
  readonly text: string
  readonly values: readonly unknown[]
  readonly parameters: ConnectionParameters
}

const MAX_STATEMENTS = 500
const MAX_BYTES = 4 * 2 ** 20
const MAX_SAMPLE_BYTES = 64 * 2 ** 10

export class StatementSamples {
  readonly #samples = new Map<string, StatementSample>()
  #bytes = 0

  /** Called for every statement that runs: cheap where the statement is known. */
  note(
    statement: string,
    text: string,
    values: readonly unknown[] | undefined,
    client: { readonly connectionParameters?: ConnectionParameters },
  ): void {
    if (this.#samples.has(statement) || this.#samples.size >= MAX_STATEMENTS) return
    const parameters = client.connectionParameters
    // Without a user it is another driver's address, and nobody could connect by it.
    if (parameters?.user === undefined) return
    const kept = (values ?? []).map(frozen)
    const bytes = text.length * 2 + kept.reduce<number>((sum, each) => sum + sizeOf(each), 0)
    if (bytes > MAX_SAMPLE_BYTES || this.#bytes + bytes > MAX_BYTES) return
    this.#bytes += bytes
    this.#samples.set(statement, { text, values: kept, parameters })
  }

  get(statement: string): StatementSample | undefined {
    return this.#samples.get(statement)
  }
}

/** The value as it is now: the application may go on changing an object that it has passed. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value
    return byteLength > MAX_SAMPLE_BYTES
      ? value
      : Buffer.from(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength))
  }
  // pg writes an array as an array of SQL, any other object as JSON, unless it knows better itself.
  if (Array.isArray(value)) return value.map(frozen)
  const { toPostgres } = value as { toPostgres?: unknown }
  return typeof toPostgres === 'function' ? value : JSON.stringify(value)
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length * 2
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + sizeOf(each), 32)
  return 16
}
