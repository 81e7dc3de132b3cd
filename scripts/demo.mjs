/** `npm run demo`: sets up what is missing, then hands over to the example. */
import { setUp } from './setup.mjs'

setUp()
const { demo } = await import('../examples/shop/demo.mjs')
process.exitCode = await demo(process.argv.slice(2))
