/** What the doctor says: its document, on a terminal and as a page. */
export * from './document.ts'
export { Progress, type ProgressOptions, type ProgressStream } from './progress.ts'
export { renderTerminal, type TerminalOptions } from './terminal.ts'
export { isColoured, type Paint, painter, printable } from './terminal-text.ts'
export { renderHtml } from './html.ts'
