import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remoteDatabaseOf } from './configured-database.ts'

const local: NodeJS.ProcessEnv[] = [
  {},
  { DATABASE_URL: 'postgres://app:secret@localhost:5432/shop' },
  { DATABASE_URL: 'postgresql://127.0.0.1/shop', PGHOST: '/var/run/postgresql' },
  { DATABASE_URL: 'postgres:///shop' },
  { DATABASE_URL: 'mysql://db.example/shop' },
  { DATABASE_URL: 'not a url' },
]
for (const env of local) {
  test(`${JSON.stringify(env)} is on this machine, or not said`, () => {
    assert.equal(remoteDatabaseOf(env), undefined)
  })
}

test('a database elsewhere is told by its variable and host, never by its password', () => {
  const env = { DATABASE_URL: 'postgres://app:secret@db.example:5432/shop' }

  assert.deepEqual(remoteDatabaseOf(env), { variable: 'DATABASE_URL', host: 'db.example' })
  assert.deepEqual(remoteDatabaseOf({ PGHOST: '10.0.0.7' }), {
    variable: 'PGHOST',
    host: '10.0.0.7',
  })
})
