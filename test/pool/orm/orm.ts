/**
 * What the ORM tests ask of each library: the same small bank, each in the library's own words.
 *
 * `table` is made by the tests: `accounts (id serial, owner text unique, balance int check (>= 0),
 * opened timestamptz, notes jsonb)`.
 */
import type { Pool } from 'hasten/pool'

export interface Account {
  readonly id: number
  readonly owner: string
  readonly balance: number
  readonly opened: Date
  readonly notes: unknown
}

export interface Bank {
  open(owner: string, balance: number, notes?: object | null): Promise<number>
  find(owner: string): Promise<Account | undefined>
  /** By id. */
  all(): Promise<readonly Account[]>
  setBalance(owner: string, balance: number): Promise<void>
  remove(owner: string): Promise<void>
  /** In one transaction: both accounts, read and written; then `check` may throw. */
  transfer(from: string, to: string, amount: number, check?: () => void): Promise<void>
  /** Of the library, not the pool. */
  close: () => Promise<void>
}

export interface Orm {
  readonly name: string
  /** Its statements outside transactions share connections. */
  readonly shares: boolean
  bank(pool: Pool, url: string): Promise<Bank>
}
