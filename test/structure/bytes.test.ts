/** The bytes of each subpath, bundled and minified, are a promise like any other. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { build } from 'esbuild'
import { root } from './sources.ts'

/** Most that a subpath may weigh with all of ours that it loads, in bytes. */
const limits: Record<string, number> = {
  '.': 20_000,
  './timing': 15_000,
  './exporters': 7_000,
  './observe': 75_000,
  './advisor': 90_000,
  './pool': 100_000,
}

/** The driver of the database, and what HTTP is made with. */
const peers: Record<string, readonly string[]> = { './pool': ['pg', 'undici'] }

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string>
}

for (const [subpath, target] of Object.entries(exports)) {
  if (subpath === './package.json') continue

  test(`hasten${subpath.slice(1)} stays within its bytes and loads no other packages`, async () => {
    const { bytes, outside } = await bundle(target)

    assert.deepEqual(
      outside.filter((name) => !peers[subpath]?.includes(name)),
      [],
    )
    const limit = limits[subpath]
    assert.ok(limit !== undefined, `give ${subpath} a limit: it has ${bytes} bytes`)
    assert.ok(bytes <= limit, `${bytes} bytes, ${limit} are promised`)
  })
}

async function bundle(target: string): Promise<{ bytes: number; outside: string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, target)],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const [output] = Object.values(metafile.outputs)
  // By name: a package's own subpaths are the package.
  const outside = (output?.imports ?? [])
    .filter(({ path, kind }) => !path.startsWith('node:') && kind !== 'dynamic-import')
    .map(({ path }) =>
      path
        .split('/')
        .slice(0, path.startsWith('@') ? 2 : 1)
        .join('/'),
    )
  return { bytes: outputFiles[0]?.contents.length ?? 0, outside: [...new Set(outside)].sort() }
}
