/**
 * The doctor on the shop, held against what was planted there. The doctor knows nothing of the shop:
 * what is right stands in the example's own planted.json.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Finding } from 'hasten/advisor'

export interface Planted {
  readonly kind: string
  readonly route: string
}

export interface ShopExamination {
  readonly routes: readonly {
    readonly method: string
    readonly route: string
    readonly errors: number
  }[]
  /** Those that accuse: confidence `proved` or `likely`. */
  readonly accusations: readonly Finding[]
  readonly missed: readonly Planted[]
  /** On a healthy route, or of something that was not planted there. */
  readonly wrong: readonly Finding[]
}

const root = new URL('../../../', import.meta.url)
const pathOf = (path: string) => fileURLToPath(new URL(path, root))

export const planted = JSON.parse(readFileSync(pathOf('examples/shop/planted.json'), 'utf8')) as {
  readonly found: readonly Planted[]
  readonly notYetFound: readonly Planted[]
}

/** Rejects with MissingService where there is no PostgreSQL. */
export async function examineShop(options: readonly string[]): Promise<ShopExamination> {
  const { startShop } = (await import(pathToFileURL(pathOf('examples/shop/start.js')).href)) as {
    startShop: () => Promise<{ env: NodeJS.ProcessEnv; stop(): Promise<void> }>
  }
  const shop = await startShop()
  try {
    const traffic = ['--requests', pathOf('examples/shop/requests.jsonl')]
    const command = [process.execPath, pathOf('examples/shop/before/server.js')]
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [pathOf('dist/cli/main.js'), 'doctor', '--json', ...traffic, ...options, '--', ...command],
      { env: { ...process.env, ...shop.env }, maxBuffer: 64 * 2 ** 20 },
    )
    return judge(JSON.parse(stdout) as Document)
  } finally {
    await shop.stop()
  }
}

export function isOf(finding: Finding, { kind, route }: Planted): boolean {
  return finding.kind === kind && finding.routes.includes(route)
}

interface Document {
  readonly findings: readonly Finding[]
  readonly routes: ShopExamination['routes']
}

function judge({ findings, routes }: Document): ShopExamination {
  const accusations = findings.filter(({ confidence }) => confidence !== 'possible')
  const all = [...planted.found, ...planted.notYetFound]
  return {
    routes,
    accusations,
    missed: planted.found.filter((each) => !accusations.some((finding) => isOf(finding, each))),
    wrong: accusations.filter(
      ({ kind, routes }) =>
        !routes.every((route) => all.some((each) => each.kind === kind && each.route === route)),
    ),
  }
}
