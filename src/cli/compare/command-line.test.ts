import assert from 'node:assert/strict'
import { test } from 'node:test'
import { argvOf } from './command-line.ts'

for (const [command, argv] of [
  ['node before.js', ['node', 'before.js']],
  ['  npm   start ', ['npm', 'start']],
  [
    'node --max-old-space-size=512 ./dist/a.js',
    ['node', '--max-old-space-size=512', './dist/a.js'],
  ],
] as const) {
  test(`starts ${JSON.stringify(command)} as it is`, () => {
    assert.deepEqual(argvOf(command), argv)
  })
}

for (const command of [
  'PORT=3001 node a.js',
  'cd before && node a.js',
  "node -e 'console.log(1)'",
  'node $FILE',
  'node ~/a.js',
  'node a.js; node b.js',
]) {
  test(`gives ${command} to a shell`, { skip: process.platform === 'win32' }, () => {
    assert.deepEqual(argvOf(command), ['sh', '-c', command])
  })
}
