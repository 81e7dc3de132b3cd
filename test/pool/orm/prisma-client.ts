/**
 * What `prisma generate` (7.10) makes of the schema below, without its types. Prisma's command line is
 * no dependency: it weighs more than all others together. To make it anew, put the schema into a
 * file, and take `config` from the `internal/class.ts` that it writes:
 *
 *   generator client { provider = "prisma-client"  output = "./client" }
 *   datasource db { provider = "postgresql" }
 *   model Account {
 *     id      Int      @id @default(autoincrement())
 *     owner   String   @unique
 *     balance Int
 *     opened  DateTime @default(now()) @db.Timestamptz()
 *     notes   Json?
 *     @@map("accounts")
 *   }
 *
 * Nothing of it is a binary: the query compiler is WebAssembly that comes with @prisma/client.
 */
import { type GetPrismaClientConfig, getPrismaClient } from '@prisma/client/runtime/client'

const compiler = '@prisma/client/runtime/query_compiler_fast_bg.postgresql'

const config: GetPrismaClientConfig = {
  previewFeatures: [],
  clientVersion: '7.10.1',
  engineVersion: 'd1b3f377ca835d73fd50954a5e22128b9ebdd6b8',
  activeProvider: 'postgresql',
  inlineSchema:
    'generator client {\n  provider = "prisma-client"\n  output   = "./client-ts"\n}\n\ndatasource db {\n  provider = "postgresql"\n}\n\nmodel Account {\n  id      Int      @id @default(autoincrement())\n  owner   String   @unique\n  balance Int\n  opened  DateTime @default(now()) @db.Timestamptz()\n  notes   Json?\n\n  @@map("accounts")\n}\n',
  runtimeDataModel: JSON.parse(
    '{"models":{"Account":{"fields":[{"name":"id","kind":"scalar","type":"Int"},{"name":"owner","kind":"scalar","type":"String"},{"name":"balance","kind":"scalar","type":"Int"},{"name":"opened","kind":"scalar","type":"DateTime"},{"name":"notes","kind":"scalar","type":"Json"}],"dbName":"accounts","schema":null}},"enums":{},"types":{}}',
  ),
  parameterizationSchema: {
    strings: JSON.parse(
      '["where","Account.findUnique","Account.findUniqueOrThrow","orderBy","cursor","Account.findFirst","Account.findFirstOrThrow","Account.findMany","data","Account.createOne","Account.createMany","Account.createManyAndReturn","Account.updateOne","Account.updateMany","Account.updateManyAndReturn","create","update","Account.upsertOne","Account.deleteOne","Account.deleteMany","having","_count","_avg","_sum","_min","_max","Account.groupBy","Account.aggregate","AND","OR","NOT","id","owner","balance","opened","notes","equals","string_contains","string_starts_with","string_ends_with","array_starts_with","array_ends_with","array_contains","lt","lte","gt","gte","not","in","notIn","contains","startsWith","endsWith","set","increment","decrement","multiply","divide"]',
    ),
    graph:
      'NQsQCBwAACgAMB0AAAQAEB4AACgAMB8CAAAAASABAAAAASECACkAISJAACsAISMAACwAIAEAAAABACABAAAAAQAgCBwAACgAMB0AAAQAEB4AACgAMB8CACkAISABACoAISECACkAISJAACsAISMAACwAIAEjAAAtACADAAAABAAgAwAABQAwBAAAAQAgAwAAAAQAIAMAAAUAMAQAAAEAIAMAAAAEACADAAAFADAEAAABACAFHwIAAAABIAEAAAABIQIAAAABIkAAAAABI4AAAAABAQgAAAkAIAUfAgAAAAEgAQAAAAEhAgAAAAEiQAAAAAEjgAAAAAEBCAAACwAwAQgAAAsAMAUfAgA0ACEgAQAzACEhAgA0ACEiQAA1ACEjgAAAAAECAAAAAQAgCAAADgAgBR8CADQAISABADMAISECADQAISJAADUAISOAAAAAAQIAAAAEACAIAAAQACACAAAABAAgCAAAEAAgAwAAAAEAIA8AAAkAIBAAAA4AIAEAAAABACABAAAABAAgBhUAAC4AIBYAAC8AIBcAADIAIBgAADEAIBkAADAAICMAAC0AIAgcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACEhAgAbACEiQAAdACEjAAAeACADAAAABAAgAwAAFgAwFAAAFwAgAwAAAAQAIAMAAAUAMAQAAAEAIAgcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACEhAgAbACEiQAAdACEjAAAeACANFQAAIgAgFgAAJwAgFwAAIgAgGAAAIgAgGQAAIgAgJAIAAAABKwIAAAABLAIAAAABLQIAAAABLgIAAAABLwIAJgAhMAIAAAAEMQIAAAAEDhUAACIAIBgAACUAIBkAACUAICQBAAAAASsBAAAAASwBAAAAAS0BAAAAAS4BAAAAAS8BACQAITABAAAABDEBAAAABDIBAAAAATMBAAAAATQBAAAAAQsVAAAiACAYAAAjACAZAAAjACAkQAAAAAErQAAAAAEsQAAAAAEtQAAAAAEuQAAAAAEvQAAhACEwQAAAAAQxQAAAAAQPFQAAHwAgGAAAIAAgGQAAIAAgJIAAAAABJQEAAAABJgEAAAABJwEAAAABKIAAAAABKYAAAAABKoAAAAABK4AAAAABLIAAAAABLYAAAAABLoAAAAABL4AAAAABCCQCAAAAASsCAAAAASwCAAAAAS0CAAAAAS4CAAAAAS8CAB8AITACAAAABTECAAAABQwkgAAAAAElAQAAAAEmAQAAAAEnAQAAAAEogAAAAAEpgAAAAAEqgAAAAAErgAAAAAEsgAAAAAEtgAAAAAEugAAAAAEvgAAAAAELFQAAIgAgGAAAIwAgGQAAIwAgJEAAAAABK0AAAAABLEAAAAABLUAAAAABLkAAAAABL0AAIQAhMEAAAAAEMUAAAAAECCQCAAAAASsCAAAAASwCAAAAAS0CAAAAAS4CAAAAAS8CACIAITACAAAABDECAAAABAgkQAAAAAErQAAAAAEsQAAAAAEtQAAAAAEuQAAAAAEvQAAjACEwQAAAAAQxQAAAAAQOFQAAIgAgGAAAJQAgGQAAJQAgJAEAAAABKwEAAAABLAEAAAABLQEAAAABLgEAAAABLwEAJAAhMAEAAAAEMQEAAAAEMgEAAAABMwEAAAABNAEAAAABCyQBAAAAASsBAAAAASwBAAAAAS0BAAAAAS4BAAAAAS8BACUAITABAAAABDEBAAAABDIBAAAAATMBAAAAATQBAAAAAQ0VAAAiACAWAAAnACAXAAAiACAYAAAiACAZAAAiACAkAgAAAAErAgAAAAEsAgAAAAEtAgAAAAEuAgAAAAEvAgAmACEwAgAAAAQxAgAAAAQIJAgAAAABKwgAAAABLAgAAAABLQgAAAABLggAAAABLwgAJwAhMAgAAAAEMQgAAAAECBwAACgAMB0AAAQAEB4AACgAMB8CACkAISABACoAISECACkAISJAACsAISMAACwAIAgkAgAAAAErAgAAAAEsAgAAAAEtAgAAAAEuAgAAAAEvAgAiACEwAgAAAAQxAgAAAAQLJAEAAAABKwEAAAABLAEAAAABLQEAAAABLgEAAAABLwEAJQAhMAEAAAAEMQEAAAAEMgEAAAABMwEAAAABNAEAAAABCCRAAAAAAStAAAAAASxAAAAAAS1AAAAAAS5AAAAAAS9AACMAITBAAAAABDFAAAAABAwkgAAAAAElAQAAAAEmAQAAAAEnAQAAAAEogAAAAAEpgAAAAAEqgAAAAAErgAAAAAEsgAAAAAEtgAAAAAEugAAAAAEvgAAAAAEAAAAAAAABNQEAAAABBTUCAAAAATYCAAAAATcCAAAAATgCAAAAATkCAAAAAQE1QAAAAAEAAAAABRUABhYABxcACBgACRkACgAAAAAABRUABhYABxcACBgACRkACgECAQIDAQUGAQYHAQcIAQkKAQoMAgsNAwwPAQ0RAg4SBBETARIUARMVAhoYBRsZCw',
  },
  compilerWasm: {
    getRuntime: async () => import(`${compiler}.mjs`),
    getQueryCompilerWasmModule: async () => {
      const { wasm } = await import(`${compiler}.wasm-base64.mjs`)
      return new WebAssembly.Module(Buffer.from(wasm, 'base64'))
    },
    importName: './query_compiler_fast_bg.js',
  },
}

interface Row {
  id: number
  owner: string
  balance: number
  opened: Date
  notes: unknown
}

interface Accounts {
  create(query: { data: Partial<Row> }): Promise<Row>
  findUnique(query: { where: Partial<Row> }): Promise<Row | null>
  findMany(query: { orderBy: object }): Promise<Row[]>
  update(query: { where: Partial<Row>; data: object }): Promise<Row>
  delete(query: { where: Partial<Row> }): Promise<Row>
}

export interface PrismaClient {
  readonly account: Accounts
  $transaction<T>(run: (tx: PrismaClient) => Promise<T>, options?: object): Promise<T>
  $disconnect(): Promise<void>
}

export const PrismaClient: new (options: { adapter: unknown }) => PrismaClient = getPrismaClient(
  config,
) as never
