import { NotFoundException, UnsupportedOperationException, ValidationException } from "../errors.ts";
import {
  arnOf,
  importMaterial,
  invalidOrigin,
  makeImportToken,
  removeMaterial,
  shownMaterialId,
  type WrappingAlgorithm,
  wrappings,
} from "../keys.ts";
import { operation, type Request, states } from "../operation.ts";
import { string, structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const AlgorithmSpec = string({
  enum: [
    "RSAES_PKCS1_V1_5",
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256",
    "SM2PKE",
  ],
});
const WrappingKeySpec = string({ enum: ["RSA_2048", "RSA_3072", "RSA_4096", "SM2"] });
const ImportType = string({ enum: ["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"] });
const KeyMaterialDescriptionType = string({ min: 0, max: 256, pattern: String.raw`^[a-zA-Z0-9:/_\s.-]+$` });
const BackingKeyIdResponseType = string({ min: 0, max: 64, pattern: "^[a-f0-9]+$" });

const keyId = { member: "KeyId", aliases: false } as const;
const failures = [
  "InvalidArnException",
  "UnsupportedOperationException",
  "DependencyTimeoutException",
  "NotFoundException",
  "KMSInternalException",
  "KMSInvalidStateException",
] as const;

export const getParametersForImport = operation({
  name: "GetParametersForImport",
  input: structure({ KeyId: shapes.KeyIdType, WrappingAlgorithm: AlgorithmSpec, WrappingKeySpec }, [
    "KeyId",
    "WrappingAlgorithm",
    "WrappingKeySpec",
  ]),
  output: structure({
    KeyId: shapes.KeyIdType,
    ImportToken: shapes.CiphertextType,
    PublicKey: shapes.PlaintextType,
    ParametersValidTo: shapes.DateType,
  }),
  errors: failures,
  key: keyId,
  states: states.editing,
  async run({ hsm, now }, input, key) {
    checkExternal(key);
    const { WrappingAlgorithm, WrappingKeySpec } = input;
    const bits = wrappingBits[WrappingKeySpec];
    if (bits === undefined || !isOffered(WrappingAlgorithm))
      throw new UnsupportedOperationException(
        `WrappingAlgorithm ${WrappingAlgorithm} with WrappingKeySpec ${WrappingKeySpec} is not offered here. ` +
          `Offered: ${Object.keys(wrappings).join(", ")} with ${Object.keys(wrappingBits).join(", ")}.`,
      );
    const validTo = now + DAY;
    const material = { type: "rsa", bits } as const;
    const made = await makeImportToken(hsm, key, { algorithm: WrappingAlgorithm, validTo, material });
    return {
      KeyId: arnOf(key),
      ImportToken: made.token,
      PublicKey: made.publicKey,
      ParametersValidTo: new Date(validTo),
    };
  },
});

export const importKeyMaterial = operation({
  name: "ImportKeyMaterial",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      ImportToken: shapes.CiphertextType,
      EncryptedKeyMaterial: shapes.CiphertextType,
      ValidTo: shapes.DateType,
      ExpirationModel: shapes.ExpirationModelType,
      ImportType,
      KeyMaterialDescription: KeyMaterialDescriptionType,
      KeyMaterialId: shapes.BackingKeyIdType,
    },
    ["KeyId", "ImportToken", "EncryptedKeyMaterial"],
  ),
  output: structure({ KeyId: shapes.KeyIdType, KeyMaterialId: shapes.BackingKeyIdType }),
  errors: [
    ...failures,
    "InvalidCiphertextException",
    "IncorrectKeyMaterialException",
    "ExpiredImportTokenException",
    "InvalidImportTokenException",
  ],
  key: keyId,
  states: states.editing,
  async decide(request, input, key) {
    checkExternal(key);
    const { materialId, changes } = await importMaterial(request, key, {
      token: input.ImportToken,
      encrypted: input.EncryptedKeyMaterial,
      importType: input.ImportType,
      materialId: input.KeyMaterialId,
      description: input.KeyMaterialDescription,
      ...expiration(input, request.now),
    });
    return { output: { KeyId: arnOf(key), KeyMaterialId: shownMaterialId(key, materialId) }, changes };
  },
});

export const deleteImportedKeyMaterial = operation({
  name: "DeleteImportedKeyMaterial",
  input: structure({ KeyId: shapes.KeyIdType, KeyMaterialId: shapes.BackingKeyIdType }, ["KeyId"]),
  output: structure({ KeyId: shapes.KeyIdType, KeyMaterialId: BackingKeyIdResponseType }),
  errors: failures,
  key: keyId,
  states: states.editing,
  async decide(request, input, key) {
    checkExternal(key);
    const wanted = input.KeyMaterialId ?? key.materialId;
    if (input.KeyMaterialId !== undefined) await checkKnown(request, key, input.KeyMaterialId);
    const changes = await removeMaterial(request, key, ({ materialId }) => materialId === wanted);
    return { output: { KeyId: arnOf(key), KeyMaterialId: shownMaterialId(key, wanted) }, changes };
  },
});

const wrappingBits: Readonly<Partial<Record<string, 2048 | 3072 | 4096>>> = {
  RSA_2048: 2048,
  RSA_3072: 3072,
  RSA_4096: 4096,
};

const isOffered = (name: string): name is WrappingAlgorithm => Object.hasOwn(wrappings, name);

function checkExternal(key: KeyRow): void {
  if (key.origin !== "EXTERNAL") throw invalidOrigin(key);
}

async function checkKnown({ store }: Request, key: KeyRow, materialId: string): Promise<void> {
  if ((await store.backingKey(key.region, key.keyId, materialId)) === undefined)
    throw new NotFoundException(`${arnOf(key)} has no key material ${materialId}.`);
}

interface Expiring {
  readonly ValidTo?: Date | undefined;
  readonly ExpirationModel?: "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE" | undefined;
}

function expiration({ ValidTo, ExpirationModel = "KEY_MATERIAL_EXPIRES" }: Expiring, now: number) {
  const expirationModel = ExpirationModel;
  if (ExpirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE") {
    if (ValidTo === undefined) return { expirationModel, validTo: null };
    throw new ValidationException("ValidTo must not be given when the key material does not expire.");
  }
  const validTo = ValidTo?.getTime();
  if (validTo === undefined)
    throw new ValidationException(
      "A ValidTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES.",
    );
  if (validTo <= now || validTo > now + 365 * DAY)
    throw new ValidationException("ValidTo must be in the future, and at most 365 days from now.");
  return { expirationModel, validTo };
}
