/** A service that cannot be had here: tests are skipped with the reason, in CI they fail with it. */
export class MissingService extends Error {
  override readonly name = 'MissingService'

  constructor(service: string, reason: string, remedy: string) {
    super(`${service} cannot be had: ${reason}. ${remedy}`)
  }
}

const isCi = !['', '0', 'false'].includes(process.env['CI'] ?? '')

/** What `start` gives, or the reason why the tests that need it are skipped. */
export async function serviceOr<T>(start: () => Promise<T>): Promise<T | string> {
  try {
    return await start()
  } catch (error) {
    if (!(error instanceof MissingService) || isCi) throw error
    return error.message
  }
}
