/** The text of pgbouncer.ini: each setting below its reason, and how to make the user list. No password. */
import { PROSE_WIDTH, wrapProse } from '../prose.ts'
import type { Plan, Setting } from './plan.ts'

export interface IniPlace {
  readonly listen: { readonly host: string; readonly port: number }
  /** The server behind it. */
  readonly server: { readonly host: string; readonly port: number; readonly database: string }
  /** Who logs in, and may ask `SHOW`. */
  readonly user: string
  readonly authFile: string
  readonly source: string
  readonly version: string
}

export function iniText(plan: Plan, place: IniPlace): string {
  const { server, listen, user, authFile } = place
  const fixed: Setting[] = [
    {
      name: 'listen_addr',
      value: listen.host,
      why: 'who may connect: this machine alone by default',
    },
    { name: 'listen_port', value: String(listen.port), why: 'PgBouncer’s own' },
    {
      name: 'auth_type',
      value: 'scram-sha-256',
      why: 'nobody sends a password in the clear, and the user list may hold secrets instead of passwords',
    },
    {
      name: 'auth_file',
      value: authFile,
      why: `one line for each user; get it, as a superuser, by: SELECT format('"%s" "%s"', rolname, rolpassword) FROM pg_authid WHERE rolname = '${user}'`,
    },
    {
      name: 'stats_users',
      value: user,
      why: 'may ask SHOW POOLS and SHOW STATS: hasten finds out the mode by it, and advises by it',
    },
  ]
  return [
    `; written by hasten pgbouncer ${place.version}`,
    ...comment(`Sized from ${place.source}.`),
    '',
    '[databases]',
    `${server.database} = host=${server.host} port=${server.port}${server.database === '*' ? '' : ` dbname=${server.database}`}`,
    '',
    '[pgbouncer]',
    ...[...fixed, ...plan.bouncer].flatMap(({ name, value, why }) => [
      ...comment(why),
      `${name} = ${value}`,
      '',
    ]),
  ].join('\n')
}

/** `;` begins a comment only at the beginning of a line. */
function comment(text: string): string[] {
  return wrapProse(text.replace(/\s+/g, ' '), PROSE_WIDTH - 2).map((line) => `; ${line}`)
}
