/**
 * As much of the browser as the page's script uses.
 *
 * The compiler's own `dom` library would declare its globals for the whole package, and `name` or
 * `event` by mistake would then compile in server code. uPlot is a global of the page.
 */
export interface PageElement {
  textContent: string | null
  className: string
  hidden: boolean
  readonly dataset: Record<string, string | undefined>
  readonly clientWidth: number
  readonly style: { setProperty(name: string, value: string): void }
  readonly parentElement: PageElement | null
  append(...nodes: (PageElement | string)[]): void
  replaceChildren(...nodes: (PageElement | string)[]): void
  remove(): void
  querySelector(selector: string): PageElement | null
  querySelectorAll(selector: string): Iterable<PageElement>
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  getAttribute(name: string): string | null
  addEventListener(type: string, listener: (event: PageEvent) => void): void
}

export interface PageInput extends PageElement {
  value: string
}

export interface PageEvent {
  readonly key?: string
  preventDefault(): void
}

export interface PageDocument {
  readonly body: PageElement
  readonly documentElement: PageElement
  getElementById(id: string): PageElement | null
  querySelector(selector: string): PageElement | null
  querySelectorAll(selector: string): Iterable<PageElement>
  createElement(tag: string): PageElement
  createElementNS(namespace: string, tag: string): PageElement
  createRange(): PageRange
  execCommand(command: 'copy'): boolean
}

export interface PageRange {
  selectNodeContents(node: PageElement): void
}

export interface PageWindow {
  readonly navigator: { readonly clipboard?: { writeText(text: string): Promise<void> } }
  addEventListener(type: string, listener: () => void): void
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string }
  getSelection(): { removeAllRanges(): void; addRange(range: PageRange): void } | null
  matchMedia(query: string): { addEventListener(type: 'change', listener: () => void): void }
}

export interface Plot {
  destroy(): void
}

export type PlotData = readonly (readonly (number | null)[])[]

export type PlotConstructor = new (options: object, data: PlotData, target: PageElement) => Plot
