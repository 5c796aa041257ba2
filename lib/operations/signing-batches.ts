import { type KeySpec, signingTerms } from "../algorithms.ts";
import {
  type BatchError,
  errorOf,
  type Messages,
  packMessages,
  type SignedEntry,
  signed,
  type VerifiedEntry,
  verified,
} from "../batch.ts";
import { KMSInvalidSignatureException } from "../errors.ts";
import { publicKeys } from "../hsm.ts";
import { arnOf } from "../keys.ts";
import { operation, type Request, states, usingFailures } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const members = {
  KeyId: shapes.KeyIdType,
  MessageType: shapes.MessageType,
  SigningAlgorithm: shapes.SigningAlgorithmSpec,
  GrantTokens: shapes.GrantTokenList,
};
const using = {
  input: structure(members, ["KeyId", "SigningAlgorithm"]),
  // As in batches.ts: entry by entry, a shape would cost more than it is worth.
  unchecked: ["Entries", "Messages", "Lengths", "Signatures", "SignatureLengths"],
  errors: usingFailures,
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "SIGN_VERIFY",
} as const;

export const signBatch = operation({
  name: "SignBatch",
  action: "kms:Sign",
  ...using,
  async run(request, input, key) {
    const { SigningAlgorithm } = input;
    const terms = signingTerms(key.keySpec as KeySpec, SigningAlgorithm, input.MessageType);
    const packed = packMessages(input, signed, terms);
    note(request, packed, packed.errors?.size ?? 0);
    const material = await request.keys.current(key);
    const { signatures, lengths } = await material.signBatch(terms.signing, packed.messages);
    const answer = { KeyId: arnOf(key), SigningAlgorithm };
    if (!packed.entries) return { ...answer, Signatures: signatures, Lengths: lengths };
    let at = 0;
    const entry = (item: number): SignedEntry => {
      const from = at;
      at += lengths[item] as number;
      return { Signature: signatures.subarray(from, at) };
    };
    return { ...answer, Entries: inPlace(packed, entry) };
  },
});

const wrong: BatchError = errorOf(new KMSInvalidSignatureException());

export const verifyBatch = operation({
  name: "VerifyBatch",
  action: "kms:Verify",
  ...using,
  async run(request, input, key) {
    const { SigningAlgorithm } = input;
    const terms = signingTerms(key.keySpec as KeySpec, SigningAlgorithm, input.MessageType);
    const packed = packMessages(input, verified, terms);
    const { messages, signatures, count } = packed;
    const { publicKey } = await request.keys.pair(key);
    const valid = await publicKeys.verifyBatch({
      publicKey,
      signing: terms.signing,
      inputs: messages.input,
      inputLengths: messages.lengths,
      signatures: signatures.input,
      signatureLengths: signatures.lengths,
    });
    note(request, packed, count - valid.reduce((sum, one) => sum + one, 0));
    const answer = { KeyId: arnOf(key), SigningAlgorithm };
    if (!packed.entries) return { ...answer, SignaturesValid: valid };
    const entry = (item: number): VerifiedEntry =>
      valid[item] === 1 ? { SignatureValid: true } : { Error: wrong };
    return { ...answer, Entries: inPlace(packed, entry) };
  },
});

/** What a batch's event says in place of its entries. */
function note(request: Request, { count }: Messages, failed: number): void {
  request.note("entries", count);
  request.note("failed", failed);
}

/** One entry for each of the batch: its error, or what `entry` makes of the next packed item. */
function inPlace<Entry>({ count, errors }: Messages, entry: (item: number) => Entry) {
  const entries: (Entry | { Error: BatchError })[] = [];
  let item = 0;
  for (let i = 0; i < count; i++) {
    const error = errors?.get(i);
    entries.push(error === undefined ? entry(item++) : { Error: error });
  }
  return entries;
}
