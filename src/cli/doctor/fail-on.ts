/**
 * `--fail-on`: what makes the doctor's exit code 1, so that a pipeline stops on it.
 *
 *   --fail-on n-plus-one     any finding of this kind
 *   --fail-on 50             any finding that saves 50 ms or more per request
 *   --fail-on n-plus-one,50  either
 *
 * A finding of confidence `possible` never fails a build: it is no accusation.
 */
import { HastenError } from '../../core/errors.ts'
import { type Finding, type FindingKind, findingKinds } from '../../core/finding.ts'

export type FailOn = (finding: Finding) => boolean

export function failOn(text: string): FailOn {
  const rules = text.split(',').map((part) => ruleOf(part.trim()))
  return (finding) => finding.confidence !== 'possible' && rules.some((rule) => rule(finding))
}

function ruleOf(part: string): FailOn {
  if ((findingKinds as readonly string[]).includes(part)) {
    return (finding) => finding.kind === (part as FindingKind)
  }
  const ms = Number(part)
  if (part !== '' && Number.isFinite(ms) && ms >= 0) {
    return (finding) => finding.savesMsPerRequest >= ms
  }
  throw new HastenError(
    'OPTION_INVALID',
    `--fail-on must be a kind of finding or a number of milliseconds, got ${JSON.stringify(part)}. Kinds: ${findingKinds.join(', ')}`,
  )
}
