/**
 * Modules: tells the hooks when a library is loaded, whichever way, however many copies there are.
 *
 *   require('pg') ──▶ require-in-the-middle ─┐
 *                                            ├──▶ each copy once ──▶ the patches of its name
 *   import 'pg' ────▶ import-in-the-middle ──┘
 *
 * `import` is hooked in the thread itself where Node can do that without a defect
 * (`module.registerHooks`: 22.22.3, 24.11.1 and later). Before that it takes a loader thread, which
 * costs a tenth of a second to start and slows down the CommonJS modules that it wraps. So there it is
 * started only for what may import ES modules of the list, wraps only those, and an imported CommonJS
 * module is seen where Node loads it:
 *
 *   import 'fastify' ──▶ Module._load(its path, no parent) ──▶ the patches of its name
 *
 * Rules:
 *   1. Both hooks get the list of names. A hook on every module breaks bundled applications whose
 *      exports are assigned late, and costs a wrapper for each file.
 *   2. A patch sees what a user of the module sees: `module.exports` of CommonJS, the namespace of
 *      an ES module. It changes that in place, or returns what shall stand in its stead.
 *   3. One copy of a package may come twice, once by its ES entry and once by its CommonJS entry
 *      (`pg`). Patches of prototypes mark what they have patched, see `once`.
 *   4. An alias (`"pg-older": "npm:pg@8.11"` in the application's package.json) counts as what it
 *      stands for.
 *
 * Not seen: modules that a bundler has put into one file, and an entry imported by path
 * (`pg/lib/client.js`) before anything has asked for the package by name.
 */
import { readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { createRequire, isBuiltin, register } from 'node:module'
import { dirname, extname, isAbsolute, join, parse, sep } from 'node:path'
import { guard, hookFailed } from './guard.ts'

export interface ModuleInfo {
  /** As the package calls itself: `pg`, also where it is installed under another name. */
  readonly name: string
  readonly version: string
  /** Folder of the package. */
  readonly path: string
}

/**
 * What the patch returns replaces the export of a CommonJS module, or the default export of an ES
 * module. `undefined` leaves it.
 */
// biome-ignore lint/suspicious/noExplicitAny: exports of a foreign module have no type here
export type Patch = (exports: any, info: ModuleInfo) => unknown

/** Every package that a hook or the doctor may want to know of. Nothing else is looked at. */
export const observedModules: readonly string[] = [
  'pg',
  'pg-pool',
  'pg-cursor',
  'pg-query-stream',
  'pg-native',
  'tarn',
  'sequelize-pool',
  'postgres',
  'ioredis',
  'redis',
  '@redis/client',
  'undici',
  'fastify',
  'express',
  'koa',
  'hono',
]

/** Those of them that are ES modules when imported. The others are CommonJS, whatever their entry. */
const esModules = ['postgres', 'hono']

const require = createRequire(import.meta.url)
const patches = new Map<string, Patch[]>()
// Not bounded by a number: as many as the application has copies of thirteen packages.
const seen = new Map<string, { info: ModuleInfo; exports: unknown }>()
const aliases = new Map<string, string>()

/** Runs `patch` for each copy of `name` that is loaded or will be. */
export function onModule(name: string, patch: Patch): void {
  if (!observedModules.includes(name)) {
    throw new TypeError(`${name} is not in observedModules: the import hook would not see it`)
  }
  const list = patches.get(name)
  if (list) list.push(patch)
  else patches.set(name, [patch])
  for (const { info, exports } of seen.values()) {
    if (info.name === name) guard(patch)(exports, info)
  }
}

/** Copies seen so far, in order of loading. */
export function modulesSeen(): ModuleInfo[] {
  const copies = new Map<string, ModuleInfo>()
  for (const { info } of seen.values()) copies.set(info.path, info)
  return [...copies.values()]
}

/** True for the first caller with this mark: `if (once(Client.prototype, mark)) …patch…`. */
export function once(target: object, mark: symbol): boolean {
  if (Object.hasOwn(target, mark)) return false
  Object.defineProperty(target, mark, { value: true })
  return true
}

/** Starts both hooks. Called once a thread, after the hooks have registered their patches. */
export function watchModules(): void {
  for (const [alias, name] of aliasesOf(process.argv[1])) aliases.set(alias, name)
  const names = [...observedModules, ...aliases.keys()]
  watchRequire(names)
  watchImport(names)
  // What another preload has required before us.
  for (const [file, module] of Object.entries(require.cache)) {
    if (module !== undefined) announceFile(module.exports, file, names)
  }
}

function watchRequire(names: string[]): void {
  const { Hook } = require('require-in-the-middle') as typeof import('require-in-the-middle')
  new Hook(
    names,
    (exports, name, path) =>
      (announce(exports, name, path, 'require') as typeof exports) ?? exports,
  )
}

function watchImport(names: string[]): void {
  const isSync = hasSyncHooks()
  if (!isSync) {
    watchImportOfCommonJs(names)
    if (!mayImportEsModules()) return
  }
  const { Hook } = require('import-in-the-middle') as typeof import('import-in-the-middle')
  new Hook(names, (namespace, name, baseDir, format) => {
    const isCommonJs = format?.startsWith('commonjs') ?? false
    const exports = isCommonJs ? namespace.default : namespace
    const replacement = announce(exports, name, baseDir ?? undefined, 'import')
    if (replacement !== undefined) namespace.default = replacement
  })
  // Both list their own names, so that the loader never wraps anything else.
  if (isSync) {
    const hooks = require('import-in-the-middle/register-hooks.mjs') as {
      register(options: { include: string[] }): void
    }
    hooks.register({ include: [...names] })
    letBuiltinsThrough()
  } else {
    register('./import-loader.js', import.meta.url, { data: { include: [...names] } })
  }
}

/** Node loads an imported CommonJS module by its path and for no parent. */
function watchImportOfCommonJs(names: readonly string[]): void {
  type Load = (this: unknown, request: string, parent: unknown, isMain?: boolean) => unknown
  const Module = nodeModule.Module as unknown as { _load: Load }
  const load = Module._load
  Module._load = function observedLoad(this: unknown, request, parent, _isMain) {
    // biome-ignore lint/complexity/noArguments: handed on as they are
    const exports = load.apply(this, arguments as unknown as Parameters<Load>)
    if (parent !== undefined || !isAbsolute(request)) return exports
    return announceFile(exports, request, names) ?? exports
  }
}

/**
 * An application of ES modules may import whatever it likes, at any time. One of CommonJS, which can
 * `import()` too, is asked whether it has such a package; what `node -e` runs is no application.
 */
function mayImportEsModules(): boolean {
  const [, entry] = process.argv
  if (entry === undefined) return process.execArgv.includes('--input-type=module')
  const extension = extname(entry)
  if (extension === '.mjs' || extension === '.mts') return true
  if (extension !== '.cjs' && extension !== '.cts' && manifestOf(entry)['type'] === 'module') {
    return true
  }
  const wanted = [...aliases].filter(([, name]) => esModules.includes(name)).map(([alias]) => alias)
  return [entry, join(process.cwd(), 'entry')].some((from) => {
    const { resolve } = createRequire(from)
    return [...esModules, ...wanted].some((name) => canResolve(resolve, name))
  })
}

function canResolve(resolve: NodeJS.RequireResolve, name: string): boolean {
  try {
    resolve(name)
    return true
  } catch {
    return false
  }
}

/**
 * `node -e` requires `module` before there is a parent, and import-in-the-middle takes whatever has
 * no parent for the entry: it calls a builtin CommonJS, and Node looks for a file of that name. The
 * hook registered last is asked first.
 */
function letBuiltinsThrough(): void {
  type Resolve = (
    specifier: string,
    context: { readonly parentURL?: string },
    next: (specifier: string, context: object) => object,
  ) => object
  const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => void }
  registerHooks?.({
    resolve(specifier, context, next) {
      if (context.parentURL !== undefined || !isBuiltin(specifier)) return next(specifier, context)
      const url = specifier.startsWith('node:') ? specifier : `node:${specifier}`
      return { url, format: 'builtin', shortCircuit: true }
    },
  })
}

/** As import-in-the-middle says: earlier versions reject CommonJS modules under synchronous hooks. */
function hasSyncHooks(): boolean {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number)
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 3)
  if (major === 24) return minor > 11 || (minor === 11 && patch >= 1)
  if (major === 25) return minor >= 1
  return major >= 26
}

/** A file that was loaded by its path: announced where it is the entry of a package of the list. */
function announceFile(exports: unknown, file: string, names: readonly string[]): unknown {
  const folders = `${sep}node_modules${sep}`
  const at = file.lastIndexOf(folders) + folders.length
  if (at < folders.length) return undefined
  const inside = file.slice(at)
  const name = names.find((each) => inside.startsWith(join(each, sep)))
  if (name === undefined) return undefined
  const path = file.slice(0, at) + join(name)
  try {
    return require.resolve(path) === file ? announce(exports, name, path, 'require') : undefined
  } catch {
    // A package without an entry of its own has nothing to patch.
    return undefined
  }
}

function announce(
  exports: unknown,
  name: string,
  path: string | undefined,
  way: 'require' | 'import',
): unknown {
  if (path === undefined) return undefined
  const key = `${way}:${path}`
  if (seen.has(key)) return undefined
  const info = { name: aliases.get(name) ?? name, version: versionOf(path), path }
  let current = exports
  let replacement: unknown
  for (const patch of patches.get(info.name) ?? []) {
    try {
      const returned = patch(current, info)
      if (returned === undefined) continue
      replacement = returned
      if (way === 'require') current = returned
    } catch (error) {
      hookFailed(error)
    }
  }
  seen.set(key, { info, exports: current })
  return replacement
}

function versionOf(path: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
      version?: string
    }
    return version ?? ''
  } catch {
    return ''
  }
}

/** Aliases in the package.json nearest to the application's entry. */
function aliasesOf(entry: string | undefined): [alias: string, name: string][] {
  const manifest = manifestOf(entry)
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((list) =>
    Object.entries(manifest[list] ?? {}).flatMap(([alias, range]): [string, string][] => {
      const name = /^npm:(@?[^@]+)/.exec(String(range))?.[1]
      return name !== undefined && observedModules.includes(name) ? [[alias, name]] : []
    }),
  )
}

/** The package.json nearest to a file, or to the working directory. */
function manifestOf(file: string | undefined): Record<string, object | string | undefined> {
  const start = file === undefined ? process.cwd() : dirname(file)
  for (let folder = start; ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
        string,
        object | string | undefined
      >
    } catch {
      if (folder === parse(folder).root) return {}
    }
  }
}
