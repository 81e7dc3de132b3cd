/**
 * Foreign file: what a file that was given as a request file looks like instead.
 *
 * Nothing is read from it. It is recognised so that the error says what to do, where the first broken
 * line would only say that `[` is not `{`.
 */

/** A sentence's beginning, or undefined where it looks like JSON lines. */
export function foreignKind(text: string, firstLine: string): string | undefined {
  if (firstLine.startsWith('{')) return kindOfObject(text, firstLine)
  if (firstLine.startsWith('[')) {
    const isArray = Array.isArray(jsonOf(text))
    return isArray
      ? "this is one JSON array: write its elements without brackets, one a line (jq -c '.[]')"
      : undefined
  }
  if (firstLine.startsWith('<')) return 'this looks like HTML or XML'
  if (/^(?:openapi|swagger)\s*:/.test(firstLine))
    return 'this looks like an OpenAPI document in YAML: give it as --openapi, written as JSON'
  if (/^(?:---|[\w-]+:(?:\s|$))/.test(firstLine)) return 'this looks like YAML'
  if (/^[A-Z]{3,10}\s+\S+/.test(firstLine))
    return `this looks like a list of request lines (${quoted(firstLine)})`
  if (/^curl\s/.test(firstLine)) return 'this looks like curl commands'
  if (/^https?:\/\//i.test(firstLine) || /^\/\S*$/.test(firstLine))
    return `this looks like a list of addresses (${quoted(firstLine)})`
  if (/^"?[\w -]+"?(?:[,;\t]"?[\w -]+"?)+$/.test(firstLine))
    return `this looks like CSV (${quoted(firstLine)})`
  return undefined
}

function kindOfObject(text: string, firstLine: string): string | undefined {
  // A line that is a document of its own is what is expected, whatever follows.
  const own = jsonOf(firstLine)
  const document = own ?? jsonOf(text)
  if (document === undefined || document === null) return undefined
  if (typeof document === 'object' && 'path' in document && own !== undefined) return undefined
  if (typeof document === 'object' && 'log' in document) return 'this looks like a HAR archive'
  if (typeof document === 'object' && ('openapi' in document || 'swagger' in document)) {
    return 'this looks like an OpenAPI document: give it as --openapi'
  }
  return own === undefined
    ? 'this is one JSON document over several lines: write it on one line'
    : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function quoted(line: string): string {
  return `'${line.slice(0, 40)}${line.length > 40 ? '…' : ''}'`
}
