/**
 * CPU profile: V8's document, read as a line of samples in epoch time.
 *
 *   nodes     a call tree: root ▸ … ▸ handler ▸ render ▸ toFixed
 *   samples   every 500 µs, which node was running; `(idle)` where nothing was
 *
 * A sample's stack is its node and the node's ancestors. `(garbage collector)` and `(program)` have
 * no stack of their own: they interrupt whatever runs, and are called foreign here.
 *
 * Whose code a frame is: of the application, unless it lies in a `node_modules`, is Node's own
 * (`node:`), made by `eval`, or ours.
 */
import { fileURLToPath } from 'node:url'
import type { ProfileFacts } from '../../core/agent-wire.ts'

export interface Frame {
  readonly id: number
  readonly parent: Frame | undefined
  /** As V8 calls it, `(anonymous)` where it has no name. */
  readonly function: string
  /** Absolute path, `node:…`, or empty. */
  readonly file: string
  /** Where the function begins, counted from 1; columns too. */
  readonly line: number
  readonly column: number
  /** Ticks by line, of the function's own time. */
  readonly ticks: ReadonlyMap<number, number>
  readonly owner: 'application' | 'library' | 'idle' | 'foreign'
  /** The same function wherever it is called from. */
  readonly key: string
}

interface RawNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
    readonly columnNumber: number
  }
  readonly children?: readonly number[]
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
}

interface RawProfile {
  readonly nodes: readonly RawNode[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface CpuProfile {
  /** Of each sample, in order. */
  readonly frames: readonly Frame[]
  /** Epoch milliseconds of each sample. */
  readonly times: Float64Array
  /** Working directory of the process. */
  readonly cwd: string
}

const unstacked = new Set(['(program)', '(garbage collector)', '(root)'])

/** `undefined` where it is no profile. `ours` is the folder whose code is hasten's. */
export function readProfile(facts: ProfileFacts, ours: string): CpuProfile | undefined {
  const { startMicros, startEpochMs, cwd } = facts
  const profile = facts.profile as RawProfile
  if (!Array.isArray(profile?.nodes) || !Array.isArray(profile.samples)) return undefined
  if (profile.timeDeltas?.length !== profile.samples.length) return undefined

  const frames = framesOf(profile.nodes, ours)
  const times = new Float64Array(profile.samples.length)
  let micros = profile.startTime - startMicros
  for (const [i, delta] of profile.timeDeltas.entries()) {
    micros += delta
    times[i] = startEpochMs + micros / 1_000
  }
  const missing = frames.get(profile.nodes[0]?.id ?? 0)
  if (missing === undefined) return undefined
  return { frames: profile.samples.map((id) => frames.get(id) ?? missing), times, cwd }
}

/** From the outermost call to the frame itself. */
export function stackOf(frame: Frame): Frame[] {
  const stack: Frame[] = []
  for (let each: Frame | undefined = frame; each !== undefined; each = each.parent) stack.push(each)
  return stack.reverse()
}

function framesOf(nodes: readonly RawNode[], ours: string): Map<number, Frame> {
  const raw = new Map(nodes.map((node) => [node.id, node]))
  const frames = new Map<number, Frame>()
  // Parents come first in V8's list; where they did not, a child would be read without its stack.
  const open = nodes.slice(0, 1).map((node) => ({ node, parent: undefined as Frame | undefined }))
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const frame = frameOf(next.node, next.parent, ours)
    if (frames.has(frame.id)) continue
    frames.set(frame.id, frame)
    for (const id of next.node.children ?? []) {
      const node = raw.get(id)
      if (node !== undefined) open.push({ node, parent: frame })
    }
  }
  return frames
}

function frameOf(node: RawNode, parent: Frame | undefined, ours: string): Frame {
  const { functionName, url, lineNumber, columnNumber } = node.callFrame
  const file = fileOf(url)
  return {
    id: node.id,
    parent,
    function: functionName === '' ? '(anonymous)' : functionName,
    file,
    line: lineNumber + 1,
    column: columnNumber + 1,
    ticks: new Map((node.positionTicks ?? []).map(({ line, ticks }) => [line, ticks])),
    owner: ownerOf(functionName, file, ours),
    key: `${file}:${lineNumber}:${columnNumber}:${functionName}`,
  }
}

function ownerOf(functionName: string, file: string, ours: string): Frame['owner'] {
  if (functionName === '(idle)') return 'idle'
  if (unstacked.has(functionName)) return 'foreign'
  const isApplication =
    file.startsWith('/') || /^[A-Za-z]:[\\/]/.test(file)
      ? !/[\\/]node_modules[\\/]/.test(file) && !file.startsWith(ours)
      : false
  return isApplication ? 'application' : 'library'
}

function fileOf(url: string): string {
  if (!url.startsWith('file:')) return url
  try {
    return fileURLToPath(url)
  } catch {
    return url
  }
}
