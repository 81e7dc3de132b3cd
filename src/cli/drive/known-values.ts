/**
 * Known values: what may stand in for a parameter, learned from answers.
 *
 *   GET /users → [{ "id": 7, "slug": "ann" }, …]
 *
 *     /users/:id            7      the collection's items are users, `id` is theirs
 *     /users/:slug          ann
 *     /orders/:userId       7      named after the resource
 *     /users/:id/orders/:orderId   ids that GET /users/7/orders gave, with that same 7
 *
 * A collection is an array of objects: the answer itself, or a property of it (`data`, `items`,
 * `users`). Whose items they are is told by the property's name, else by the path's last word. A field
 * `userId` of anything is an id of a user.
 *
 * Only scalars, at most `MAX_VALUES` of each, of at most `MAX_FIELDS` fields of at most
 * `MAX_RESOURCES` resources; the first seen stay.
 */

const MAX_VALUES = 20
const MAX_FIELDS = 50
const MAX_RESOURCES = 500
const MAX_LENGTH = 128

/** Names of an array that say nothing about what is in it. */
const vague = new Set([
  'data',
  'items',
  'results',
  'rows',
  'records',
  'list',
  'docs',
  'documents',
  'content',
  'entries',
  'values',
  'hits',
  'nodes',
  'edges',
  'payload',
  'result',
  'response',
  'body',
])

type Fields = Map<string, Set<string>>

export class KnownValues {
  /** By resource, in the singular: `user`. */
  readonly #resources = new Map<string, Fields>()
  /** By concrete path of the collection: `/users/7/orders`. */
  readonly #collections = new Map<string, Fields>()

  /** Reads the body of an answer to GET `path`. Anything but JSON teaches nothing. */
  learn(path: string, body: string): void {
    const document = jsonOf(body)
    if (document === undefined) return
    const concrete = (path.split('?')[0] as string).replace(/\/+$/, '')
    const name = lastWord(concrete)
    if (Array.isArray(document)) this.#learnItems(document, name, concrete)
    else this.#learnObject(document, name, concrete, 0)
  }

  /** What GET `before` itself listed: the children of just this parent. */
  childrenOf(before: string, param: string): string[] {
    const { fields, isOwn } = this.#sought(before, param)
    const children = isOwn ? this.#collections.get(before.replace(/\/+$/, '')) : undefined
    return [...new Set(fields.flatMap((name) => [...(children?.get(name) ?? [])]))]
  }

  /**
   * Values for `param`, which follows the path `before` (`/users/`), most fitting first.
   * `before` is concrete: parameters further left are filled.
   */
  valuesFor(before: string, param: string): string[] {
    const children = this.childrenOf(before, param)
    if (children.length > 0) return children
    const { resource, field, owner, fields, isOwn } = this.#sought(before, param)
    const found = new Set<string>()
    const take = (from: Fields | undefined, names: readonly string[]) => {
      for (const name of names) for (const value of from?.get(name) ?? []) found.add(value)
    }
    if (isOwn) take(this.#resources.get(resource), fields)
    if (found.size > 0) return [...found]
    if (owner !== undefined) take(this.#resources.get(owner), ['id', '_id', 'uuid', 'guid'])
    // `/users/:user`, `/tags/:tag`
    if (found.size === 0 && owner === undefined && singular(field) === resource) {
      take(this.#resources.get(resource), ['id', '_id', 'uuid', 'slug', 'name'])
    }
    return [...found]
  }

  #sought(before: string, param: string) {
    const resource = singular(lastWord(before))
    const { field, owner } = asked(param)
    const fields = field === 'id' ? ['id', '_id', 'uuid', 'guid', `${resource}id`] : [field]
    const isOwn = owner === undefined || owner === resource || !this.#resources.has(owner)
    return { resource, field, owner, fields, isOwn }
  }

  #learnObject(value: unknown, name: string, path: string, depth: number): void {
    if (typeof value !== 'object' || value === null) return
    this.#learnFields(
      value as Record<string, unknown>,
      this.#fieldsOf(this.#resources, singular(name)),
    )
    for (const [key, child] of Object.entries(value).slice(0, MAX_FIELDS)) {
      if (typeof child !== 'object' || child === null) continue
      const isVague = vague.has(key.toLowerCase())
      const childName = isVague ? name : key
      // The answer's own list, under whatever name, unless it is a list of something within an item.
      if (Array.isArray(child)) this.#learnItems(child, childName, depth === 0 ? path : undefined)
      else if (depth < 2) this.#learnObject(child, childName, path, depth + 1)
    }
  }

  #learnItems(items: readonly unknown[], name: string, path: string | undefined): void {
    for (const item of items.slice(0, MAX_VALUES)) {
      // GraphQL-like edges: { node: { … } }.
      const inner = (item as { node?: unknown } | null)?.node ?? item
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) continue
      const fields = inner as Record<string, unknown>
      this.#learnFields(fields, this.#fieldsOf(this.#resources, singular(name)))
      if (path !== undefined) this.#learnFields(fields, this.#fieldsOf(this.#collections, path))
    }
  }

  #learnFields(item: Record<string, unknown>, fields: Fields | undefined): void {
    for (const [key, value] of Object.entries(item).slice(0, MAX_FIELDS)) {
      const text = textOf(value)
      if (text === undefined) continue
      const name = plain(key)
      if (fields !== undefined) add(fields, name, text)
      const { owner } = asked(key)
      const owned = owner === undefined ? undefined : this.#fieldsOf(this.#resources, owner)
      if (owned !== undefined) add(owned, 'id', text)
    }
  }

  #fieldsOf(map: Map<string, Fields>, key: string): Fields | undefined {
    let fields = map.get(key)
    if (fields === undefined && map.size < MAX_RESOURCES) {
      fields = new Map()
      map.set(key, fields)
    }
    return fields
  }
}

function add(fields: Fields, name: string, value: string): void {
  let values = fields.get(name)
  if (values === undefined) {
    if (fields.size >= MAX_FIELDS) return
    values = new Set()
    fields.set(name, values)
  }
  if (values.size < MAX_VALUES) values.add(value)
}

/** What a parameter asks for: `userId`, `user_id` → the id of a user; `id` → of what stands before it. */
function asked(param: string): { field: string; owner?: string } {
  const owner = /^(.+?)(?:_id|-id|Id|ID|_uuid|Uuid|UUID)$/.exec(param)?.[1]
  if (owner !== undefined) return { field: 'id', owner: singular(plain(owner)) }
  const name = plain(param)
  return { field: name === 'uuid' || name === 'guid' ? 'id' : name }
}

/** `order_items`, `orderItems` and `order-items` are one name. */
function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, '').toLowerCase()
}

function singular(name: string): string {
  const word = plain(name)
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`
  if (/(?:ss|x|ch|sh|z)es$/.test(word)) return word.slice(0, -2)
  return word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word
}

/** Last segment of a path that is a word: not a number, not an id. */
function lastWord(path: string): string {
  const words = path.split('/').filter((segment) => /^[A-Za-z][A-Za-z_.-]*$/.test(segment))
  return words.at(-1) ?? ''
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  const isUsable = typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH
  return isUsable ? value : undefined
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
