/** KMS keys: what is told of them, and the material behind them. */

export { checkLength, type Encryption, encryptionUnder, open, seal, sealRandom } from "./keys/encryption.ts";
export { grantable, grantIdOf } from "./keys/grants.ts";
export { makeImportToken, type WrappingAlgorithm, wrappings } from "./keys/import-token.ts";
export { importMaterial, removeMaterial } from "./keys/imports.ts";
export { KeyMaterial } from "./keys/material.ts";
export { arnOf, describe, isPrimary, type KeyMetadata, shownMaterialId } from "./keys/metadata.ts";
export { awaitedBy, destruction, materialFor, withReplicas } from "./keys/multi-region.ts";
export { KeyQuota } from "./keys/quota.ts";
export { KeyRing } from "./keys/ring.ts";
export {
  checkRotatable,
  checkRotationIsOwn,
  invalidOrigin,
  isReplica,
  type Rotation,
  type RotationType,
  rotate,
  rotateTo,
  rotationAfter,
} from "./keys/rotation.ts";
export { newKey, newKeyId, updateKey } from "./keys/row.ts";
export { checkTags, withTags } from "./keys/tags.ts";
export { KeyUses } from "./keys/uses.ts";
