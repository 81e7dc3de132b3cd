import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fingerprint, loadModule } from 'libpg-query'
import { stripSql } from './sql-lexer.ts'

const textOf = (sql: string): string => stripSql(sql).text

describe('what stays', () => {
  for (const [sql, text] of [
    ['SELECT  *\n\tFROM Users', 'select * from users'],
    ['SELECT "Users"."createdAt" FROM "Users"', 'select "Users"."createdAt" from "Users"'],
    ['SELECT "a""b", U&"d\\0061t"', 'select "a""b", U&"d\\0061t"'],
    ['select a$b$c from t', 'select a$b$c from t'],
    ['SELECT ÄRGER FROM t', 'select Ärger from t'],
    ['select a from t where b=$1 and c!=$2', 'select a from t where b = $1 and c <> $2'],
    ['select $2, $1, $2', 'select $1, $2, $1'],
    ['SELECT 1;', 'select $1'],
    ['BEGIN; COMMIT', 'begin; commit'],
    ['select a::int[], b->>$1, c @> $2', 'select a::int[], b ->> $1, c @> $2'],
    ['select x[1:2]', 'select x[$1 : $2]'],
    ['where a is not null and b is true', 'where a is not null and b is true'],
    ['create table t (a int not null default 5)', 'create table t(a int not null default $1)'],
    ['select count(*), a.* from a', 'select count(*), a.* from a'],
  ] as const) {
    test(sql, () => assert.equal(textOf(sql), text))
  }
})

describe('what goes', () => {
  for (const [sql, text, literals] of [
    ["select 'a', 'it''s'", 'select $1, $2', ['a', "it's"]],
    [String.raw`select E'it\'s', e'a\\'`, 'select $1, $2', ["it's", 'a\\']],
    ['select $$a$b$$, $x$ $$ $y$ $x$', 'select $1, $2', ['a$b', ' $$ $y$ ']],
    ["select U&'d!0061' UESCAPE '!'", 'select $1', ['d!0061!']],
    ["select b'01', X'ff', n'x'", 'select $1, $2, $3', ['01', 'ff', 'x']],
    ["select 'two' -- one\n 'strings'", 'select $1', ['twostrings']],
    [
      'select 1, 1.5e-10, .5, 0x1F, 1_000',
      'select $1, $2, $3, $4, $5',
      ['1', '1.5e-10', '.5', '0x1F', '1_000'],
    ],
    [
      'select -1, a-1, a - -1, (-1), 2*-1',
      'select $1, a - $2, a - $3, ($4), $5 * $6',
      ['-1', '1', '-1', '-1', '2', '-1'],
    ],
    ['select true, null, false', 'select $1, $2, $3', []],
    ['select 1--1', 'select $1', ['1']],
    ['select /* /* a */ b */ 1 /* c', 'select $1', ['1']],
    ["select 'never ends", 'select $1', ['never ends']],
    ['select $q$never ends', 'select $1', ['never ends']],
    ['select "never ends', 'select', []],
    ['select 123abc', 'select $1', ['123abc']],
  ] as const) {
    test(sql, () => {
      const seen: string[] = []
      assert.equal(stripSql(sql, seen).text, text)
      assert.deepEqual(seen, literals)
    })
  }
})

describe('lists of any length', () => {
  for (const [sql, text] of [
    ['where a in ($1, $2, $3) and b = $4', 'where a in ($1) and b = $2'],
    ['where a in (1,-2,null)', 'where a in ($1)'],
    ["where a in (lower('A'), lower('B'))", 'where a in (lower($1))'],
    ["where a in ('x'::text, y)", 'where a in ($1::text, y)'],
    ['where (a, b) in ((1, 2), (3, 4))', 'where (a, b) in (($1, $2))'],
    ['where a in (select b, b from c)', 'where a in (select b, b from c)'],
    [
      'where a in (with x as (select 1, 1) select 1)',
      'where a in (with x as (select $1, $2) select $3)',
    ],
    [
      'insert into t values (1, now()), (2, now()) returning a, a',
      'insert into t values ($1, now()) returning a, a',
    ],
    ['insert into t values (1, default), (2, 3)', 'insert into t values ($1, default), ($2, $3)'],
    ['select * from (values (1, 2), (3, 4)) v, w, w', 'select * from (values ($1, $2)) v, w, w'],
    ['select array[1, 2], array[[1, 2], [3, 4]]', 'select array[$1], array[[$2]]'],
    ['select f(1, 1, 1)', 'select f($1, $2, $3)'],
    ['values (1), (2)', 'values ($1)'],
  ] as const) {
    test(sql, () => assert.equal(textOf(sql), text))
  }

  test('also where the text is cut: a bulk insert has one shape however long it is', () => {
    const rows = (n: number) => Array.from({ length: n }, (_, i) => `(${i}, 'row ${i}')`).join(', ')
    assert.equal(
      textOf(`insert into t values ${rows(50_000)} on conflict do nothing`),
      textOf(`insert into t values ${rows(60_000)}`),
    )
  })
})

/** Characters that occur in no text around. */
const secret = fc.stringMatching(/^[§¶µ£¥]{1,12}$/)
const quoting: readonly ((value: string) => string)[] = [
  (value) => `'${value}'`,
  (value) => `'it''s ${value}'`,
  (value) => `E'\\'${value}\\\\'`,
  (value) => `$$${value}'$$`,
  (value) => `$tag$${value}$$${value}$tag$`,
  (value) => `U&'${value}'`,
  (value) => `'a'\n'${value}'`,
  (value) => `/* '${value} /* ${value} */ */ 1`,
  (value) => `-- ${value}'"\n 1`,
]
const literal = fc.tuple(fc.constantFrom(...quoting), secret).map(([quote, value]) => quote(value))
const number = fc
  .oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map(String)
const any = fc.oneof(literal, number)
const templates: readonly ((a: string, b: string) => string)[] = [
  (a, b) => `SELECT * FROM t WHERE a = ${a} AND b > ${b}`,
  (a, b) => `UPDATE t SET a = ${a} WHERE b IN (${a}, ${b})`,
  (a, b) => `INSERT INTO t (a, b) VALUES (${a}, ${b}), (${b}, ${a})`,
  (a, b) => `select array[${a}, ${b}], f(${a}) limit ${b}`,
]

test('no character of a literal or comment survives', () => {
  fc.assert(
    fc.property(fc.constantFrom(...templates), literal, literal, (template, a, b) => {
      assert.doesNotMatch(textOf(template(a, b)), /[§¶µ£¥]/)
    }),
  )
})

test('a text cut anywhere gives no part of a literal away', () => {
  fc.assert(
    fc.property(fc.constantFrom(...templates), literal, literal, fc.nat(), (template, a, b, at) => {
      const sql = template(a, b)
      assert.doesNotMatch(textOf(sql.slice(0, at % sql.length)), /[§¶µ£¥]/)
    }),
  )
})

test('the shape does not depend on the values', () => {
  fc.assert(
    fc.property(fc.constantFrom(...templates), any, any, any, any, (template, a, b, c, d) => {
      assert.equal(textOf(template(a, b)), textOf(template(c, d)))
    }),
  )
})

test('stripping what is stripped changes nothing', () => {
  const soup = fc
    .array(
      fc.constantFrom(
        ...'select from ( ) [ ] , ; . :: : = - + * / -- /* */ \' " $$ $1 $2 $a$ a "B" in values array null true is 1 .5 e u& E\' \\ \n := ?| @> 0x'.split(
          ' ',
        ),
      ),
      { maxLength: 40 },
    )
    .chain((parts) => fc.constantFrom(' ', '').map((space) => parts.join(space)))
  fc.assert(
    fc.property(soup, (sql) => {
      const once = textOf(sql)
      assert.equal(textOf(once), once)
    }),
    { numRuns: 2_000 },
  )
})

test('time grows with the length, not with its square', () => {
  // Twice as long must not take much more than twice as long; a square would take 64 times.
  for (const part of [
    '$a',
    "'a' ",
    '(',
    'in (1, ',
    '/* ',
    '"',
    'array[',
    '- ',
    'values (1),',
    '$$ ',
  ]) {
    const measure = (repeat: number) => {
      const sql = part.repeat(repeat)
      const start = performance.now()
      stripSql(sql)
      return performance.now() - start
    }
    measure(1_000)
    const [short, long] = [measure(1_000), measure(8_000)]
    assert.ok(long < 32 * short + 200, `${part}: ${short} ms, then ${long} ms`)
  }
})

test('a long run of signs is not read again for each of them', () => {
  const start = performance.now()

  stripSql('+-'.repeat(100_000))

  assert.ok(performance.now() - start < 10_000)
})

/** Groups that PostgreSQL's own parser finds alike. */
const alike: readonly (readonly string[])[] = [
  ['SELECT a FROM t WHERE b = 1', "select a from t where b='x'", 'SELECT a FROM t WHERE b = $1'],
  ['SELECT a FROM t WHERE b IN (1, 2)', 'SELECT a FROM t WHERE b IN (1, 2, 3, 4)'],
  ['SELECT a FROM t WHERE b = -1', 'SELECT a FROM t WHERE b = 1'],
  ['SELECT a FROM t -- x', 'SELECT a /* y */ FROM t;', 'SELECT\na\nFROM t'],
  ['INSERT INTO t (a) VALUES (1)', 'INSERT INTO t (a) VALUES (1), (2), (3)'],
  [
    'INSERT INTO t (a, b) VALUES ($1, now())',
    "INSERT INTO t (a, b) VALUES ('x', now()), (1, now())",
  ],
  ['SELECT ARRAY[1]', 'SELECT ARRAY[1, 2, 3]'],
  ['SELECT a FROM t WHERE b <> 1', 'SELECT a FROM t WHERE b != 2'],
  ['UPDATE t SET a = NULL WHERE b = true', "UPDATE t SET a = 'x' WHERE b = false"],
  ['SELECT a FROM t LIMIT 10 OFFSET 20', 'SELECT a FROM t LIMIT $1 OFFSET $2'],
  ['DELETE FROM t WHERE a = 1.5', 'DELETE FROM t WHERE a = .5e3'],
  ["SELECT a FROM t WHERE b = E'\\'' AND c = $$x$$", "SELECT a FROM t WHERE b = '' AND c = ''"],
  ['SELECT a FROM t WHERE b BETWEEN 1 AND 2', 'SELECT a FROM t WHERE b BETWEEN -5 AND $1'],
  ['SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t', "SELECT CASE WHEN a THEN 'x' ELSE -2 END FROM t"],
  ['SELECT coalesce(a, 0) FROM t', 'SELECT COALESCE(a, 7) FROM t'],
  ['SELECT count(*) FROM t', 'SELECT  COUNT( * )  FROM  t'],
  ['SELECT 1', "SELECT 'a'", 'SELECT null'],
  ['BEGIN', 'begin;'],
]

/** Alike for the parser, not for us: what it takes a grammar to know. */
const exceptions: readonly (readonly [string, string, string])[] = [
  [
    'SELECT a FROM t WHERE b = $1 OR c = $1',
    'SELECT a FROM t WHERE b = $1 OR c = $2',
    'a value used twice',
  ],
  ['SELECT "a" FROM t', 'SELECT a FROM t', 'quotes that change nothing'],
  ['SELECT a AS b FROM t', 'SELECT a b FROM t', 'words that may be left out'],
  [
    'SELECT a FROM t INNER JOIN u ON true',
    'SELECT a FROM t JOIN u ON true',
    'words that may be left out',
  ],
  ['SELECT a::int FROM t', 'SELECT CAST(a AS int) FROM t', 'two ways of writing a cast'],
  ['SELECT a FROM t WHERE b IN (1)', 'SELECT a FROM t WHERE b = 1', 'a list of one'],
  ['SELECT (a) FROM t', 'SELECT a FROM t', 'parentheses that change nothing'],
]

const different: readonly (readonly [string, string])[] = [
  ['SELECT a FROM t', 'SELECT b FROM t'],
  ['SELECT a FROM t', 'SELECT a FROM "T"'],
  ['SELECT a FROM t WHERE b IS NULL', 'SELECT a FROM t WHERE b IS NOT NULL'],
  ['SELECT a FROM t WHERE b IN (SELECT c FROM u)', 'SELECT a FROM t WHERE b IN (SELECT d FROM u)'],
  ['SELECT f(1)', 'SELECT g(1)'],
  ['INSERT INTO t (a) VALUES (1)', 'INSERT INTO t (a, b) VALUES (1, 2)'],
  ['SELECT a FROM t ORDER BY b', 'SELECT a FROM t ORDER BY b DESC'],
  ['SELECT a - 1 FROM t', 'SELECT a + 1 FROM t'],
]

describe('beside the fingerprints of libpg_query', () => {
  test('where it finds texts alike, so do we', async () => {
    await loadModule()
    for (const group of alike) {
      const prints = await Promise.all(group.map(fingerprint))
      assert.equal(new Set(prints).size, 1, group[0])
      assert.equal(new Set(group.map(textOf)).size, 1, group.map(textOf).join('\n'))
    }
  })

  test('but for these', async () => {
    await loadModule()
    for (const [a, b, why] of exceptions) {
      assert.equal(await fingerprint(a), await fingerprint(b), why)
      assert.notEqual(textOf(a), textOf(b), why)
    }
  })

  test('where it tells texts apart, so do we', async () => {
    await loadModule()
    for (const [a, b] of different) {
      assert.notEqual(await fingerprint(a), await fingerprint(b), `${a} | ${b}`)
      assert.notEqual(textOf(a), textOf(b))
    }
  })
})
