import { algorithmOf, fitting, type KeySpec } from "../algorithms.ts";
import { UnsupportedOperationException, ValidationException } from "../errors.ts";
import { arnOf, describe } from "../keys.ts";
import { operation, refuseDryRun, refuseRecipient, states, usingFailures } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

export const getPublicKey = operation({
  name: "GetPublicKey",
  input: structure({ KeyId: shapes.KeyIdType, GrantTokens: shapes.GrantTokenList }, ["KeyId"]),
  output: structure({
    KeyId: shapes.KeyIdType,
    PublicKey: shapes.PublicKeyType,
    CustomerMasterKeySpec: shapes.CustomerMasterKeySpec,
    KeySpec: shapes.KeySpec,
    KeyUsage: shapes.KeyUsageType,
    EncryptionAlgorithms: shapes.EncryptionAlgorithmSpecList,
    SigningAlgorithms: shapes.SigningAlgorithmSpecList,
    KeyAgreementAlgorithms: shapes.KeyAgreementAlgorithmSpecList,
  }),
  errors: [...usingFailures, "UnsupportedOperationException", "InvalidArnException"],
  key: { member: "KeyId", aliases: true },
  states: states.using,
  async run({ keys }, _input, key) {
    const told = describe(key);
    if (algorithmOf(key.keySpec as KeySpec).material.type === "secret")
      throw new UnsupportedOperationException(
        `${arnOf(key)} key spec is ${key.keySpec}, which has no public key.`,
      );
    const { publicKey } = await keys.pair(key);
    return {
      KeyId: arnOf(key),
      PublicKey: publicKey,
      CustomerMasterKeySpec: told.CustomerMasterKeySpec,
      KeySpec: told.KeySpec,
      KeyUsage: told.KeyUsage,
      EncryptionAlgorithms: told.EncryptionAlgorithms,
      SigningAlgorithms: told.SigningAlgorithms,
      KeyAgreementAlgorithms: told.KeyAgreementAlgorithms,
    };
  },
});

export const deriveSharedSecret = operation({
  name: "DeriveSharedSecret",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      KeyAgreementAlgorithm: shapes.KeyAgreementAlgorithmSpec,
      PublicKey: shapes.PublicKeyType,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
      Recipient: shapes.RecipientInfo,
    },
    ["KeyId", "KeyAgreementAlgorithm", "PublicKey"],
  ),
  output: structure({
    KeyId: shapes.KeyIdType,
    SharedSecret: shapes.PlaintextType,
    CiphertextForRecipient: shapes.CiphertextType,
    KeyAgreementAlgorithm: shapes.KeyAgreementAlgorithmSpec,
    KeyOrigin: shapes.OriginType,
  }),
  errors: [...usingFailures, "DryRunOperationException"],
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "KEY_AGREEMENT",
  async run({ keys }, input, key) {
    refuseRecipient(input);
    const { KeyAgreementAlgorithm } = input;
    const algorithm = algorithmOf(key.keySpec as KeySpec);
    fitting(algorithm.keyAgreementAlgorithms, KeyAgreementAlgorithm, algorithm);
    refuseDryRun(input);
    const SharedSecret = await (await keys.current(key)).deriveSecret(input.PublicKey).catch((cause) => {
      if (cause.code !== "PUBLIC_KEY") throw cause;
      throw new ValidationException(
        `The public key is none of key spec ${key.keySpec} in SubjectPublicKeyInfo, DER.`,
        { cause },
      );
    });
    return { KeyId: arnOf(key), SharedSecret, KeyAgreementAlgorithm, KeyOrigin: describe(key).Origin };
  },
});
