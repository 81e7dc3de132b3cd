/**
 * Agent seam: what the hooks of the drivers tell the agent, if there is one.
 *
 * Timing must never see a raw statement or a connection's address; the agent needs both, for EXPLAIN
 * and to know which databases the application uses, and keeps them in this process. The hooks call
 * what is set here, `agentSeam.statement?.(…)`; without an agent that is one branch.
 */

import type { StatementFacts } from '../core/facts.ts'

/** What a client of pg knows of its connection. */
export interface SeamClient {
  readonly connectionParameters?: {
    readonly host?: string
    readonly port?: number
    readonly database?: string
  }
}

export interface AgentSeam {
  /** A statement is about to run: its shape, then text and values as the user gave them. */
  statement?:
    | ((
        statement: StatementFacts,
        text: string,
        values: readonly unknown[] | undefined,
        client: SeamClient,
      ) => void)
    | undefined
  /** A connection was opened, or could not be. */
  connect?: ((client: SeamClient, error?: unknown) => void) | undefined
}

export const agentSeam: AgentSeam = {}
