/**
 * Markup: HTML that knows it is HTML.
 *
 * `html` escapes every value that goes into it, unless it is Markup itself. There is no way to put
 * a string in as it is but `trusted`, which is for our own style and script. Values stand in text
 * and in quoted attributes only, never in a script, a style or the name of a tag.
 */
import { printable } from '../terminal-text.ts'

export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Value = string | number | Markup | undefined | readonly Value[]

export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  let text = parts[0] ?? ''
  for (const [i, value] of values.entries()) text += markupOf(value) + (parts[i + 1] ?? '')
  return new Markup(text)
}

export function trusted(text: string): Markup {
  return new Markup(text)
}

/** JSON that may stand in a `<script>` element: nothing in it can end the element or open another. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
}

function markupOf(value: Value): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'object') return value.map(markupOf).join('')
  return escape(String(value))
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Line feeds stay; other control characters, also those that turn the text around, are shown. */
function escape(text: string): string {
  return text
    .split('\n')
    .map(printable)
    .join('\n')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
