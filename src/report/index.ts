/** What the doctor says: its document, on a terminal and as a page. */
export * from './document.ts'
