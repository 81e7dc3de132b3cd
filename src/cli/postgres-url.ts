/** The address of a database, as a variable or an option gives it. Undefined for what is none. */
export function postgresUrl(text: string): URL | undefined {
  if (!/^postgres(?:ql)?:\/\//i.test(text)) return undefined
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
