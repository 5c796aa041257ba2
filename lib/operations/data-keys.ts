import { type DataKeySpec, dataKeyBytes } from "../algorithms.ts";
import { ValidationException } from "../errors.ts";
import { arnOf, encryptionUnder, sealRandom, shownMaterialId } from "../keys.ts";
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

const failures = [...usingFailures, "DryRunOperationException"] as const;

const sealing = {
  errors: failures,
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "ENCRYPT_DECRYPT",
} as const;

export const generateDataKey = operation({
  name: "GenerateDataKey",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      EncryptionContext: shapes.EncryptionContextType,
      NumberOfBytes: shapes.NumberOfBytesType,
      KeySpec: shapes.DataKeySpec,
      GrantTokens: shapes.GrantTokenList,
      Recipient: shapes.RecipientInfo,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId"],
  ),
  output: structure({
    CiphertextBlob: shapes.CiphertextType,
    Plaintext: shapes.PlaintextType,
    KeyId: shapes.KeyIdType,
    CiphertextForRecipient: shapes.CiphertextType,
    KeyMaterialId: shapes.BackingKeyIdType,
  }),
  ...sealing,
  async run(request, input, key) {
    refuseRecipient(input);
    return generate(request, input, key);
  },
});

export const generateDataKeyWithoutPlaintext = operation({
  name: "GenerateDataKeyWithoutPlaintext",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      EncryptionContext: shapes.EncryptionContextType,
      KeySpec: shapes.DataKeySpec,
      NumberOfBytes: shapes.NumberOfBytesType,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId"],
  ),
  output: structure({
    CiphertextBlob: shapes.CiphertextType,
    KeyId: shapes.KeyIdType,
    KeyMaterialId: shapes.BackingKeyIdType,
  }),
  ...sealing,
  async run(request, input, key) {
    const { Plaintext, ...answer } = await generate(request, input, key);
    Plaintext.fill(0);
    return answer;
  },
});

interface DataKeyRequest {
  readonly EncryptionContext?: Readonly<Record<string, string>> | undefined;
  readonly NumberOfBytes?: number | undefined;
  readonly KeySpec?: DataKeySpec | undefined;
  readonly DryRun?: boolean | undefined;
}

/** Random bytes of the HSM and the host, and the same sealed under the key. */
async function generate({ keys }: Request, input: DataKeyRequest, key: KeyRow) {
  const { KeySpec, NumberOfBytes } = input;
  if ((KeySpec === undefined) === (NumberOfBytes === undefined))
    throw new ValidationException("Please specify either number of bytes or key spec.");
  const how = encryptionUnder(key, undefined, input.EncryptionContext);
  refuseDryRun(input);
  const length = KeySpec ? dataKeyBytes[KeySpec] : (NumberOfBytes as number);
  const { plaintext, ciphertext } = await sealRandom(keys, how, length);
  return {
    CiphertextBlob: ciphertext,
    Plaintext: plaintext,
    KeyId: arnOf(key),
    KeyMaterialId: shownMaterialId(key, key.materialId),
  };
}
