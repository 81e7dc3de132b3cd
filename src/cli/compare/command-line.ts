/**
 * A side's command as the user wrote it, one word to us: `node before.js`, `PORT=3001 npm start`.
 *
 * Plain words are started as they are, so that an error names the program. What needs a shell
 * (variables, quotes, `cd x && …`) gets one; the user's own, on the user's own machine.
 */
const PLAIN = /^[\w@%+:,./~^-][\w@%+=:,./~^ \t-]*$/
const ASSIGNMENT = /^[A-Za-z_]\w*=/

export function argvOf(command: string): string[] {
  const words = command.trim()
  if (PLAIN.test(words) && !ASSIGNMENT.test(words) && !words.includes('~'))
    return words.split(/[ \t]+/)
  return process.platform === 'win32' ? ['cmd', '/d', '/s', '/c', words] : ['sh', '-c', words]
}
