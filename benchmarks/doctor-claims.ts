/**
 * The doctor on the shop as two claims: what it finds of what was planted there, and whom it accuses
 * wrongly. One whole run of the doctor, the same as in test/doctor/shop.test.ts.
 */
import { examineShop, planted } from '../test/doctor/shop-examination.ts'

export interface DoctorClaim {
  readonly id: string
  readonly what: string
  readonly measured: number
  readonly unit: string
  readonly peer: null
  readonly peerMeasured: null
  readonly ratio: null
  readonly goal: string
  readonly met: boolean
}

export async function doctorClaims({ isQuick = false } = {}): Promise<DoctorClaim[]> {
  const length = isQuick ? ['--seconds', '8', '--solo', '3'] : ['--seconds', '20']
  const { missed, wrong } = await examineShop(length)
  const of = planted.found.length
  const names = missed.map(({ kind, route }) => `${kind} on ${route}`).join(', ')
  const accused = wrong.map(({ kind, routes }) => `${kind} on ${routes.join(', ')}`).join('; ')
  return [
    {
      id: 'doctor-found',
      what: `faults planted in the shop, of the kinds of today, that the doctor finds${names === '' ? '' : ` (missed: ${names})`}`,
      measured: of - missed.length,
      unit: `of ${of}`,
      goal: `= ${of}`,
      met: missed.length === 0,
      ...withoutPeer,
    },
    {
      id: 'doctor-false',
      what: `accusations of what was not planted${accused === '' ? '' : ` (${accused})`}`,
      measured: wrong.length,
      unit: 'findings',
      goal: '= 0',
      met: wrong.length === 0,
      ...withoutPeer,
    },
  ]
}

const withoutPeer = { peer: null, peerMeasured: null, ratio: null } as const
