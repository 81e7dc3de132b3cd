/** The shop as it was. */
import { serve } from '../api/serve.js'
import * as database from './database.js'

await serve(database)
