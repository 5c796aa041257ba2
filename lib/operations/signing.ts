import {
  checkMessage,
  type KeySpec,
  type MessageType,
  type SigningAlgorithm,
  signingTerms,
} from "../algorithms.ts";
import { KMSInvalidSignatureException } from "../errors.ts";
import { publicKeys, type Signing } from "../hsm.ts";
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
    const signing = signingOf(key, input);
    refuseDryRun(input);
    const Signature = await (await keys.current(key)).sign(signing, input.Message);
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
    const signing = signingOf(key, input);
    refuseDryRun(input);
    const { Message, Signature: signature } = input;
    const { publicKey } = await keys.pair(key);
    if (!(await publicKeys.verify({ publicKey, signing, input: Message, signature })))
      throw new KMSInvalidSignatureException();
    return { KeyId: arnOf(key), SignatureValid: true, SigningAlgorithm: input.SigningAlgorithm };
  },
});

interface Signed {
  readonly Message: Uint8Array;
  readonly MessageType?: MessageType | undefined;
  readonly SigningAlgorithm: SigningAlgorithm;
}

function signingOf({ keySpec }: KeyRow, { Message, MessageType, SigningAlgorithm }: Signed): Signing {
  const terms = signingTerms(keySpec as KeySpec, SigningAlgorithm, MessageType);
  checkMessage(terms, Message);
  return terms.signing;
}
