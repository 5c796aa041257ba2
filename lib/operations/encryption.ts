import type { EncryptionAlgorithm } from "../algorithms.ts";
import { InvalidCiphertextException, ValidationException } from "../errors.ts";
import { arnOf, checkLength, encryptionUnder, open, seal, shownMaterialId } from "../keys.ts";
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

const { EncryptionAlgorithmSpec } = shapes;

const using = { states: states.using, usage: "ENCRYPT_DECRYPT", aliases: true } as const;

const failures = [...usingFailures, "DryRunOperationException"] as const;
const openingFailures = [...failures, "InvalidCiphertextException", "IncorrectKeyException"] as const;

export const encrypt = operation({
  name: "Encrypt",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      Plaintext: shapes.PlaintextType,
      EncryptionContext: shapes.EncryptionContextType,
      GrantTokens: shapes.GrantTokenList,
      EncryptionAlgorithm: EncryptionAlgorithmSpec,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "Plaintext"],
  ),
  output: structure({
    CiphertextBlob: shapes.CiphertextType,
    KeyId: shapes.KeyIdType,
    EncryptionAlgorithm: EncryptionAlgorithmSpec,
  }),
  errors: failures,
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "ENCRYPT_DECRYPT",
  async run(request, input, key) {
    const how = encryptionUnder(key, input.EncryptionAlgorithm, input.EncryptionContext);
    checkLength(how, input.Plaintext);
    refuseDryRun(input);
    const CiphertextBlob = await seal(request.keys, how, input.Plaintext);
    return { CiphertextBlob, KeyId: arnOf(key), EncryptionAlgorithm: how.algorithm };
  },
});

export const decrypt = operation({
  name: "Decrypt",
  input: structure({
    CiphertextBlob: shapes.CiphertextType,
    EncryptionContext: shapes.EncryptionContextType,
    GrantTokens: shapes.GrantTokenList,
    KeyId: shapes.KeyIdType,
    EncryptionAlgorithm: EncryptionAlgorithmSpec,
    Recipient: shapes.RecipientInfo,
    DryRun: shapes.NullableBooleanType,
    DryRunModifiers: shapes.DryRunModifierList,
  }),
  output: structure({
    KeyId: shapes.KeyIdType,
    Plaintext: shapes.PlaintextType,
    EncryptionAlgorithm: EncryptionAlgorithmSpec,
    CiphertextForRecipient: shapes.CiphertextType,
    KeyMaterialId: shapes.BackingKeyIdType,
  }),
  errors: openingFailures,
  async run(request, input) {
    refuseRecipient(input);
    const { key, materialId, algorithm, plaintext } = await openAdmitted(request, {
      action: "kms:Decrypt",
      reference: input.KeyId,
      ciphertext: input.CiphertextBlob,
      context: input.EncryptionContext,
      algorithm: input.EncryptionAlgorithm,
      dryRun: input,
    });
    if (input.DryRun) plaintext.fill(0);
    refuseDryRun(input);
    return {
      KeyId: arnOf(key),
      Plaintext: plaintext,
      EncryptionAlgorithm: algorithm,
      KeyMaterialId: shownMaterialId(key, materialId),
    };
  },
});

export const reEncrypt = operation({
  name: "ReEncrypt",
  input: structure(
    {
      CiphertextBlob: shapes.CiphertextType,
      SourceEncryptionContext: shapes.EncryptionContextType,
      SourceKeyId: shapes.KeyIdType,
      DestinationKeyId: shapes.KeyIdType,
      DestinationEncryptionContext: shapes.EncryptionContextType,
      SourceEncryptionAlgorithm: EncryptionAlgorithmSpec,
      DestinationEncryptionAlgorithm: EncryptionAlgorithmSpec,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
      DryRunModifiers: shapes.DryRunModifierList,
    },
    ["DestinationKeyId"],
  ),
  output: structure({
    CiphertextBlob: shapes.CiphertextType,
    SourceKeyId: shapes.KeyIdType,
    KeyId: shapes.KeyIdType,
    SourceEncryptionAlgorithm: EncryptionAlgorithmSpec,
    DestinationEncryptionAlgorithm: EncryptionAlgorithmSpec,
    SourceKeyMaterialId: shapes.BackingKeyIdType,
    DestinationKeyMaterialId: shapes.BackingKeyIdType,
  }),
  errors: openingFailures,
  async run(request, input) {
    const target = await request.admit(input.DestinationKeyId, { ...using, action: "kms:ReEncryptTo" });
    const how = encryptionUnder(
      target,
      input.DestinationEncryptionAlgorithm,
      input.DestinationEncryptionContext,
    );
    const { key, materialId, algorithm, plaintext } = await openAdmitted(request, {
      action: "kms:ReEncryptFrom",
      reference: input.SourceKeyId,
      ciphertext: input.CiphertextBlob,
      context: input.SourceEncryptionContext,
      algorithm: input.SourceEncryptionAlgorithm,
      dryRun: input,
    });
    try {
      checkLength(how, plaintext);
      refuseDryRun(input);
      return {
        CiphertextBlob: await seal(request.keys, how, plaintext),
        SourceKeyId: arnOf(key),
        KeyId: arnOf(target),
        SourceEncryptionAlgorithm: algorithm,
        DestinationEncryptionAlgorithm: how.algorithm,
        SourceKeyMaterialId: shownMaterialId(key, materialId),
        DestinationKeyMaterialId: shownMaterialId(target, target.materialId),
      };
    } finally {
      plaintext.fill(0);
    }
  },
});

interface Opening {
  action: string;
  reference: string | undefined;
  ciphertext: Uint8Array | undefined;
  context: Readonly<Record<string, string>> | undefined;
  algorithm: EncryptionAlgorithm | undefined;
  dryRun: DryRun;
}

interface DryRun {
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly string[] | undefined;
}

/** Opens a ciphertext under the key that it names; throws `InvalidCiphertextException` when it is not authentic. */
async function openAdmitted(request: Request, o: Opening) {
  const admission = { ...using, action: o.action };
  if (o.dryRun.DryRun && o.dryRun.DryRunModifiers?.includes("IGNORE_CIPHERTEXT")) {
    if (o.reference === undefined)
      throw new ValidationException("A dry run that ignores the ciphertext must name the key.");
    encryptionUnder(await request.admit(o.reference, admission), o.algorithm, o.context);
    refuseDryRun(o.dryRun);
  }
  if (o.ciphertext === undefined)
    throw new ValidationException(
      "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: " +
        "Member must not be null",
    );
  const { key, materialId } = await request.admitCiphertext(o.ciphertext, o.reference, admission);
  const how = encryptionUnder(key, o.algorithm, o.context);
  const plaintext = await open(request.keys, how, materialId, o.ciphertext);
  if (plaintext === undefined) throw new InvalidCiphertextException();
  return { key, materialId, algorithm: how.algorithm, plaintext };
}
