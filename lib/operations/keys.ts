import { defaultKeyPolicy } from "../access.ts";
import { algorithmOf, usageOf } from "../algorithms.ts";
import { UnsupportedOperationException, ValidationException } from "../errors.ts";
import { held, storeFor } from "../key-stores.ts";
import { arnOf, checkTags, describe, newKey, newKeyId } from "../keys.ts";
import { operation, states, updateKey } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const KeyIdRequest = structure({ KeyId: shapes.KeyIdType }, ["KeyId"]);
const keyId = { member: "KeyId", aliases: false } as const;

export const createKey = operation({
  name: "CreateKey",
  input: structure({
    Policy: shapes.PolicyType,
    Description: shapes.DescriptionType,
    KeyUsage: shapes.KeyUsageType,
    CustomerMasterKeySpec: shapes.CustomerMasterKeySpec,
    KeySpec: shapes.KeySpec,
    Origin: shapes.OriginType,
    CustomKeyStoreId: shapes.CustomKeyStoreIdType,
    BypassPolicyLockoutSafetyCheck: shapes.BooleanType,
    Tags: shapes.TagList,
    MultiRegion: shapes.NullableBooleanType,
    XksKeyId: shapes.XksKeyIdType,
  }),
  output: structure({ KeyMetadata: shapes.KeyMetadata }),
  errors: [
    "MalformedPolicyDocumentException",
    "DependencyTimeoutException",
    "InvalidArnException",
    "UnsupportedOperationException",
    "KMSInternalException",
    "LimitExceededException",
    "TagException",
    "CustomKeyStoreNotFoundException",
    "CustomKeyStoreInvalidStateException",
    "CloudHsmClusterInvalidConfigurationException",
    "XksKeyInvalidConfigurationException",
    "XksKeyAlreadyInUseException",
    "XksKeyNotFoundException",
  ],
  resource: "*",
  independent: true,
  async decide(request, input) {
    const { region, account, now } = request;
    if (input.KeySpec && input.CustomerMasterKeySpec)
      throw new ValidationException(
        "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
      );
    const algorithm = algorithmOf(input.KeySpec ?? input.CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT");
    const store = await storeFor(request, input, algorithm.keySpec);
    const external = input.Origin === "EXTERNAL";
    if (external && !algorithm.importable)
      throw new UnsupportedOperationException(
        `KeySpec ${algorithm.keySpec} is not supported with Origin EXTERNAL.`,
      );
    const multiRegion = input.MultiRegion ?? false;
    const keyUsage = usageOf(algorithm, input.KeyUsage);
    checkTags(input.Tags ?? []);
    const key = { region, account, keyId: newKeyId(multiRegion), keySpec: algorithm.keySpec };
    const bare = newKey({
      ...key,
      keyUsage,
      origin: input.Origin ?? "AWS_KMS",
      customKeyStoreId: store?.customKeyStoreId ?? null,
      xksKeyId: input.XksKeyId ?? null,
      keyManager: "CUSTOMER",
      keyState: external ? "PendingImport" : "Enabled",
      description: input.Description ?? "",
      policy: input.Policy ?? defaultKeyPolicy(account),
      createdAt: now,
      multiRegion,
      primaryRegion: multiRegion ? region : null,
      tags: (input.Tags ?? []).map(({ TagKey, TagValue }) => ({ TagKey, TagValue })),
    });
    const { Policy: policy, BypassPolicyLockoutSafetyCheck: bypass = false } = input;
    const policyPrincipals = policy === undefined ? null : await request.checkPolicy(bare, policy, bypass);
    if (input.Tags?.length) request.authorise("kms:TagResource", "*");
    await request.quota.take(region, account);

    const belonging = { ...key, version: 1 };
    const made =
      store !== undefined
        ? await request.keys.createIn(store, belonging, now)
        : { material: external ? undefined : await request.keys.create(belonging, now), changes: [] };
    const { material } = made;
    const row = { ...bare, policyPrincipals, materialId: material?.materialId ?? null };
    return {
      output: { KeyMetadata: describe(store === undefined ? row : held(row, store)) },
      changes: [
        { insert: "key", row },
        ...(material ? [{ insert: "backingKey", row: material } as const] : []),
        ...made.changes,
      ],
    };
  },
});

export const describeKey = operation({
  name: "DescribeKey",
  input: structure({ KeyId: shapes.KeyIdType, GrantTokens: shapes.GrantTokenList }, ["KeyId"]),
  output: structure({ KeyMetadata: shapes.KeyMetadata }),
  errors: ["NotFoundException", "InvalidArnException", "DependencyTimeoutException", "KMSInternalException"],
  key: { member: "KeyId", aliases: true },
  states: states.reading,
  run: async ({ store }, _input, key) => ({
    KeyMetadata: describe(key, key.multiRegion ? await store.relatedKeys(key.keyId) : [key]),
  }),
});

export const listKeys = operation({
  name: "ListKeys",
  input: structure({ Limit: shapes.LimitType, Marker: shapes.MarkerType }),
  output: structure({
    Keys: shapes.KeyList,
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: ["DependencyTimeoutException", "KMSInternalException", "InvalidMarkerException"],
  resource: "*",
  async run({ store, markers, region, account }, input) {
    const limit = input.Limit ?? 100;
    const list = `ListKeys ${region} ${account}`;
    const after = markers.read(list, input.Marker);
    const rows = await store.listKeys(region, account, { after, limit: limit + 1 });
    const { page, next } = markers.page(list, rows, limit, (row) => row.keyId);
    return { Keys: page.map((row) => ({ KeyId: row.keyId, KeyArn: arnOf(row) })), ...next };
  },
});

const switching = [
  "NotFoundException",
  "InvalidArnException",
  "DependencyTimeoutException",
  "KMSInternalException",
] as const;

export const enableKey = operation({
  name: "EnableKey",
  input: KeyIdRequest,
  errors: [...switching, "LimitExceededException", "KMSInvalidStateException"],
  key: keyId,
  states: states.switching,
  decide: (_request, _input, key) => ({ output: {}, changes: [updateKey(key, { keyState: "Enabled" })] }),
});

export const disableKey = operation({
  name: "DisableKey",
  input: KeyIdRequest,
  errors: [...switching, "KMSInvalidStateException"],
  key: keyId,
  states: states.switching,
  decide: (_request, _input, key) => ({ output: {}, changes: [updateKey(key, { keyState: "Disabled" })] }),
});

export const updateKeyDescription = operation({
  name: "UpdateKeyDescription",
  input: structure({ KeyId: shapes.KeyIdType, Description: shapes.DescriptionType }, [
    "KeyId",
    "Description",
  ]),
  errors: [...switching, "KMSInvalidStateException"],
  key: keyId,
  states: states.editing,
  decide: (_request, input, key) => ({
    output: {},
    changes: [updateKey(key, { description: input.Description })],
  }),
});
