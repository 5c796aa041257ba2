import { algorithmOf, type DataKeyPairSpec } from "../algorithms.ts";
import { UnsupportedOperationException } from "../errors.ts";
import { arnOf, encryptionUnder, seal, shownMaterialId } from "../keys.ts";
import {
  operation,
  type Request,
  refuseDryRun,
  refuseRecipient,
  states,
  usingFailures,
} from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const sealing = {
  errors: [...usingFailures, "UnsupportedOperationException", "DryRunOperationException"],
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "ENCRYPT_DECRYPT",
} as const;

export const generateDataKeyPair = operation({
  name: "GenerateDataKeyPair",
  input: structure(
    {
      EncryptionContext: shapes.EncryptionContextType,
      KeyId: shapes.KeyIdType,
      KeyPairSpec: shapes.DataKeyPairSpec,
      GrantTokens: shapes.GrantTokenList,
      Recipient: shapes.RecipientInfo,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "KeyPairSpec"],
  ),
  output: structure({
    PrivateKeyCiphertextBlob: shapes.CiphertextType,
    PrivateKeyPlaintext: shapes.PlaintextType,
    PublicKey: shapes.PublicKeyType,
    KeyId: shapes.KeyIdType,
    KeyPairSpec: shapes.DataKeyPairSpec,
    CiphertextForRecipient: shapes.CiphertextType,
    KeyMaterialId: shapes.BackingKeyIdType,
  }),
  ...sealing,
  async run(request, input, key) {
    refuseRecipient(input);
    const { privateKey, answer } = await generate(request, input, key);
    return { ...answer, PrivateKeyPlaintext: privateKey };
  },
});

export const generateDataKeyPairWithoutPlaintext = operation({
  name: "GenerateDataKeyPairWithoutPlaintext",
  input: structure(
    {
      EncryptionContext: shapes.EncryptionContextType,
      KeyId: shapes.KeyIdType,
      KeyPairSpec: shapes.DataKeyPairSpec,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "KeyPairSpec"],
  ),
  output: structure({
    PrivateKeyCiphertextBlob: shapes.CiphertextType,
    PublicKey: shapes.PublicKeyType,
    KeyId: shapes.KeyIdType,
    KeyPairSpec: shapes.DataKeyPairSpec,
    KeyMaterialId: shapes.BackingKeyIdType,
  }),
  ...sealing,
  async run(request, input, key) {
    const { privateKey, answer } = await generate(request, input, key);
    privateKey.fill(0);
    return answer;
  },
});

interface PairRequest {
  readonly EncryptionContext?: Readonly<Record<string, string>> | undefined;
  readonly KeyPairSpec: DataKeyPairSpec;
  readonly DryRun?: boolean | undefined;
}

/** A key pair of the HSM's making, its private key (PKCS#8, DER) in the clear and sealed under the key. */
async function generate({ hsm, keys }: Request, input: PairRequest, key: KeyRow) {
  const { KeyPairSpec } = input;
  if (key.customKeyStoreId !== null)
    throw new UnsupportedOperationException("Keys in custom key stores take no data key pairs.");
  const { material } = algorithmOf(KeyPairSpec);
  const how = encryptionUnder(key, undefined, input.EncryptionContext);
  refuseDryRun(input);
  const { privateKey, publicKey } = await hsm.generateKeyPair(material);
  const answer = {
    PrivateKeyCiphertextBlob: await seal(keys, how, privateKey),
    PublicKey: publicKey,
    KeyId: arnOf(key),
    KeyPairSpec,
    KeyMaterialId: shownMaterialId(key, key.materialId),
  };
  return { privateKey, answer };
}
