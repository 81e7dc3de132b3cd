/**
 * Finding id: the same for the same thing, in every run, whatever was measured.
 *
 * What a finding is about, its subject, is a statement's shape, a function, a sequence of calls: never
 * a figure, and never the route where it happens to cost most, since that is a figure too. Only what
 * is about a route as such (its response) has the route for its subject.
 */
import { createHash } from 'node:crypto'
import type { FindingKind } from '../core/finding.ts'

/** `n-plus-one-3f9c02d1a7`. */
export function findingId(kind: FindingKind, subject: string): string {
  const digest = createHash('sha256').update(kind).update('\0').update(subject).digest('hex')
  return `${kind}-${digest.slice(0, 10)}`
}
