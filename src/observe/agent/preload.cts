/**
 * Preload: what NODE_OPTIONS requires in every Node process below the observed command.
 *
 * CommonJS, because `--import` would make Node 20 start each main script by the ESM loader, where
 * those that a require hook compiles (ts-node, esbuild-register) are of an unknown kind. And because
 * a process of an older Node, which cannot require the agent, must run as if it were not there.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) {
  try {
    require('./index.js')
  } catch {
    // The application runs unobserved, and the doctor says that nobody has reported.
  }
}
