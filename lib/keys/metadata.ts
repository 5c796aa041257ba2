import { algorithmOf, type KeySpec, type KeyUsage } from "../algorithms.ts";
import { keyArn } from "../arn.ts";
import { isHeld } from "../key-stores.ts";
import type { Output } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

export type KeyMetadata = Output<typeof shapes.KeyMetadata>;

/** The specs that the deprecated member has a name for. */
const oldSpecs = new Set<string>(shapes.CustomerMasterKeySpec.enum);

export const arnOf = (key: KeyRow): string => keyArn(key.region, key.account, key.keyId);

/** Of a multi-Region key: the one that is replicated, and rotated for all. */
export const isPrimary = (key: KeyRow): boolean => key.multiRegion && key.primaryRegion === key.region;

/** The id of a key's material as answers name it: they do for keys that can have several. */
export function shownMaterialId(key: KeyRow, materialId: string | null): string | undefined {
  const { material, defaultUsage } = algorithmOf(key.keySpec as KeySpec);
  const several = material.type === "secret" && defaultUsage && key.customKeyStoreId === null;
  return several && materialId !== null ? materialId : undefined;
}

/**
 * What DescribeKey and CreateKey tell of a key; `related` are all of its Regions, where it has several. Lists that
 * would be empty are left out, as AWS does.
 */
export function describe(key: KeyRow, related: readonly KeyRow[] = [key]): KeyMetadata {
  const algorithm = algorithmOf(key.keySpec as KeySpec);
  const metadata: KeyMetadata = {
    AWSAccountId: key.account,
    KeyId: key.keyId,
    Arn: arnOf(key),
    CreationDate: new Date(key.createdAt),
    Enabled: key.keyState === "Enabled",
    Description: key.description,
    KeyUsage: key.keyUsage as KeyUsage,
    KeyState: key.keyState as KeyMetadata["KeyState"],
    Origin: key.origin as KeyMetadata["Origin"],
    KeyManager: key.keyManager as KeyMetadata["KeyManager"],
    KeySpec: algorithm.keySpec,
    MultiRegion: key.multiRegion,
  };
  if (oldSpecs.has(key.keySpec))
    metadata.CustomerMasterKeySpec = key.keySpec as KeyMetadata["CustomerMasterKeySpec"];
  const materialId = shownMaterialId(key, key.materialId);
  if (materialId !== undefined) metadata.CurrentKeyMaterialId = materialId;
  if (key.customKeyStoreId !== null) metadata.CustomKeyStoreId = key.customKeyStoreId;
  if (key.xksKeyId !== null) metadata.XksKeyConfiguration = { Id: key.xksKeyId };
  if (isHeld(key) && key.heldBy.settings.CloudHsmClusterId !== undefined)
    metadata.CloudHsmClusterId = key.heldBy.settings.CloudHsmClusterId;
  if (key.expirationModel !== null)
    metadata.ExpirationModel = key.expirationModel as KeyMetadata["ExpirationModel"];
  if (key.validTo !== null) metadata.ValidTo = new Date(key.validTo);
  if (key.deletionAt !== null) metadata.DeletionDate = new Date(key.deletionAt);
  if (key.keyUsage === "ENCRYPT_DECRYPT") metadata.EncryptionAlgorithms = [...algorithm.encryptionAlgorithms];
  if (key.keyUsage === "SIGN_VERIFY") metadata.SigningAlgorithms = [...algorithm.signingAlgorithms];
  if (key.keyUsage === "GENERATE_VERIFY_MAC") metadata.MacAlgorithms = [...algorithm.macAlgorithms];
  if (key.keyUsage === "KEY_AGREEMENT")
    metadata.KeyAgreementAlgorithms = [...algorithm.keyAgreementAlgorithms];
  if (key.multiRegion) metadata.MultiRegionConfiguration = configurationOf(key, related);
  if (key.pendingWindow !== null) metadata.PendingDeletionWindowInDays = key.pendingWindow;
  return metadata;
}

function configurationOf(key: KeyRow, related: readonly KeyRow[]) {
  const place = ({ region, account, keyId }: Pick<KeyRow, "region" | "account" | "keyId">) => ({
    Arn: keyArn(region, account, keyId),
    Region: region,
  });
  const { primaryRegion: region } = key;
  return {
    MultiRegionKeyType: isPrimary(key) ? ("PRIMARY" as const) : ("REPLICA" as const),
    PrimaryKey: place({ ...key, region: region as string }),
    ReplicaKeys: related.filter((each) => each.region !== region).map(place),
  };
}
