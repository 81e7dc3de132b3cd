/**
 * Import loader: the hooks that Node's loader thread runs where it has no synchronous ones.
 *
 *   import 'postgres'  ES module    ──▶ import-in-the-middle wraps it
 *   import 'fastify'   CommonJS     ──▶ passes, Node loads it as without us; modules.ts sees the load
 *
 * A wrapped CommonJS module is compiled by the loader from a source that it is handed, and so is
 * everything that it requires: a Fastify server then takes a tenth more CPU for each request.
 *
 * Only what certainly is an ES module is wrapped. Without a `type` in its package.json Node has no
 * format yet when it has found the file, and nearly always it is CommonJS.
 */
// @ts-expect-error: the package has no types for it
import { initialize, load, resolve as resolveAndWrap } from 'import-in-the-middle/hook.mjs'

type Context = { readonly parentURL?: string }
type Resolved = { readonly url: string; readonly format?: string | null }
type Resolve = (specifier: string, context: Context) => Promise<Resolved>

export { initialize, load }

export async function resolve(
  specifier: string,
  context: Context,
  next: Resolve,
): Promise<Resolved> {
  const resolved = await next(specifier, context)
  if (resolved.format !== 'module') return resolved
  const wrap = resolveAndWrap as (
    specifier: string,
    context: Context,
    next: () => Promise<Resolved>,
  ) => Promise<Resolved>
  return wrap(specifier, context, async () => resolved)
}
