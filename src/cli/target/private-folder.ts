/**
 * Private folder: where the doctor's socket lies and dying processes leave their last totals.
 *
 * Mode 0700, made by mkdtemp, so that nobody else on the machine can speak to either end. The path
 * of a Unix socket may have 107 bytes at the most (103 on macOS), and a longer one fails with an
 * error that names something else; so where the system's temporary folder is deep, `/tmp` is taken.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MAX_SOCKET_PATH = 103

export class PrivateFolder {
  readonly path: string

  constructor() {
    const name = 'hasten-'
    const roomy = Buffer.byteLength(join(tmpdir(), `${name}XXXXXX`, 's')) <= MAX_SOCKET_PATH
    this.path = mkdtempSync(join(roomy ? tmpdir() : '/tmp', name))
    // mkdtemp makes it so already; an unusual umask does not get to decide.
    chmodSync(this.path, 0o700)
  }

  get socket(): string {
    return join(this.path, 's')
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** Synchronous, so that it also works while the process exits. Twice is fine. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}
