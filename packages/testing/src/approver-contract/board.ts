/**
 * Approvals in memory, as a channel meets them: what it says is judged as a real haldir judges it, and everything that
 * it says is kept for the cases to look at.
 */
import { createHash } from 'node:crypto'
import { HaldirError, usd } from '@haldir/core'
import type {
  Approval,
  Approver,
  ApproverPort,
  Said,
  Say,
  SayRefusal,
} from '../../../core/src/approvers/approver.ts'
