/** URL of a module beside this one: `.js` once compiled, `.ts` where the source itself runs. */
export function siblingUrl(path: string, self: string): URL {
  return new URL(path + (self.endsWith('.ts') ? '.ts' : '.js'), self)
}
