import { createHash } from "node:crypto";
import { algorithmOf, fitting, type KeySpec, type SigningAlgorithm, signingTerms } from "../algorithms.ts";
import { KMSInvalidSignatureException } from "../errors.ts";
import { publicKeys } from "../hsm.ts";
import { arnOf } from "../keys.ts";
import { operation, refuseDryRun, states, usingFailures } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const failures = [...usingFailures, "DryRunOperationException"] as const;

const using = {
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "SIGN_VERIFY",
} as const;

export const sign = operation({
  name: "Sign",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      Message: shapes.PlaintextType,
      MessageType: shapes.MessageType,
      GrantTokens: shapes.GrantTokenList,
      SigningAlgorithm: shapes.SigningAlgorithmSpec,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "Message", "SigningAlgorithm"],
  ),
  output: structure({
    KeyId: shapes.KeyIdType,
    Signature: shapes.CiphertextType,
    SigningAlgorithm: shapes.SigningAlgorithmSpec,
  }),
  errors: failures,
  ...using,
  async run({ keys }, input, key) {
    const { signing, message } = termsOf(key, input);
    refuseDryRun(input);
    const Signature = await (await keys.current(key)).sign(signing, message);
    return { KeyId: arnOf(key), Signature, SigningAlgorithm: input.SigningAlgorithm };
  },
});

export const verify = operation({
  name: "Verify",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      Message: shapes.PlaintextType,
      MessageType: shapes.MessageType,
      Signature: shapes.CiphertextType,
      SigningAlgorithm: shapes.SigningAlgorithmSpec,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "Message", "Signature", "SigningAlgorithm"],
  ),
  output: structure({
    KeyId: shapes.KeyIdType,
    SignatureValid: shapes.BooleanType,
    SigningAlgorithm: shapes.SigningAlgorithmSpec,
  }),
  errors: [...failures, "KMSInvalidSignatureException"],
  ...using,
  async run({ keys }, input, key) {
    const { signing, message } = termsOf(key, input);
    refuseDryRun(input);
    const { Signature: signature } = input;
    const { publicKey } = await keys.pair(key);
    if (!(await publicKeys.verify({ publicKey, signing, input: message, signature })))
      throw new KMSInvalidSignatureException();
    return { KeyId: arnOf(key), SignatureValid: true, SigningAlgorithm: input.SigningAlgorithm };
  },
});

interface Signed {
  readonly Message: Uint8Array;
  readonly MessageType?: "RAW" | "DIGEST" | "EXTERNAL_MU" | undefined;
  readonly SigningAlgorithm: SigningAlgorithm;
}

/** What is signed, and how: the message itself, or its digest. */
function termsOf(key: KeyRow, { Message, MessageType = "RAW", SigningAlgorithm }: Signed) {
  const algorithm = algorithmOf(key.keySpec as KeySpec);
  fitting(algorithm.signingAlgorithms, SigningAlgorithm, algorithm);
  const { signing, hash } = signingTerms(SigningAlgorithm, MessageType, Message);
  return { signing, message: hash ? createHash(hash).update(Message).digest() : Message };
}
