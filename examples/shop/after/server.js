/** The shop with hasten. So far its pool: the only difference is in database.js. */
import { serve } from '../api/serve.js'
import * as database from './database.js'

await serve(database)
