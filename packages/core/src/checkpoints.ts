/**
 * `@haldir/core/checkpoints`: keys that sign the heads of a trail, witnesses that are shown them, and proofs that anybody
 * can check with the public key alone.
 */
export type { CheckpointOptions } from './watch/checkpoint-options.ts'
export type { Checkpoint, Keys, Signature, Signer } from './watch/note.ts'
export {
  type CheckedConsistency,
  type CheckedInclusion,
  type ConsistencyProof,
  checkConsistency,
  checkInclusion,
  type InclusionProof,
  type ProofProblem,
  tlogProof,
} from './watch/proof.ts'
export type { ProvenEntry, ProveOptions } from './watch/proving.ts'
export { createSigningKey, envSigner, fileSigner } from './watch/signers.ts'
export type { Witness, WitnessAnswer, WitnessedCheckpoint } from './watch/witness.ts'
export { fileWitness, notesIn } from './witnesses/file.ts'
export { type HttpWitnessOptions, httpWitness } from './witnesses/http.ts'
