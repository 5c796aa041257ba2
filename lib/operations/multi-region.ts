import { defaultKeyPolicy } from "../access.ts";
import { keyArn } from "../arn.ts";
import { AlreadyExistsException, keyNotFound, UnsupportedOperationException } from "../errors.ts";
import { arnOf, checkTags, describe, isPrimary, materialFor, newKey } from "../keys.ts";
import { operation, type Request, states, updateKey } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const keyId = { member: "KeyId", aliases: false } as const;

const failures = [
  "DisabledException",
  "InvalidArnException",
  "KMSInvalidStateException",
  "KMSInternalException",
  "NotFoundException",
  "UnsupportedOperationException",
] as const;

function checkPrimary(key: KeyRow): void {
  if (!isPrimary(key))
    throw new UnsupportedOperationException(`${arnOf(key)} is not a multi-Region primary key.`);
}

function checkServed({ regions }: Request, region: string): void {
  if (regions.has(region)) return;
  throw new UnsupportedOperationException(
    `Region ${region} is not served here. Served: ${[...regions].join(", ")}.`,
  );
}

export const replicateKey = operation({
  name: "ReplicateKey",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      ReplicaRegion: shapes.RegionType,
      Policy: shapes.PolicyType,
      BypassPolicyLockoutSafetyCheck: shapes.BooleanType,
      Description: shapes.DescriptionType,
      Tags: shapes.TagList,
    },
    ["KeyId", "ReplicaRegion"],
  ),
  output: structure({
    ReplicaKeyMetadata: shapes.KeyMetadata,
    ReplicaPolicy: shapes.PolicyType,
    ReplicaTags: shapes.TagList,
  }),
  errors: [
    ...failures,
    "AlreadyExistsException",
    "LimitExceededException",
    "MalformedPolicyDocumentException",
    "TagException",
  ],
  key: keyId,
  states: states.replicating,
  async decide(request, input, key) {
    const { account, now, store } = request;
    checkPrimary(key);
    const { ReplicaRegion: region, Tags: tags = [], Policy: policy = defaultKeyPolicy(account) } = input;
    checkServed(request, region);
    const related = await store.relatedKeys(key.keyId);
    if (related.some((each) => each.region === region))
      throw new AlreadyExistsException(
        "You can create only one replica of each primary key in each AWS Region.",
      );
    checkTags(tags);
    // What is imported is imported in each Region.
    const imported = key.origin === "EXTERNAL";
    const bare = newKey({
      ...key,
      region,
      keyState: imported ? "PendingImport" : "Enabled",
      description: input.Description ?? "",
      policy,
      createdAt: now,
      tags: tags.map(({ TagKey, TagValue }) => ({ TagKey, TagValue })),
      ...(imported && { materialId: null, expirationModel: null, validTo: null }),
    });
    const bypass = input.BypassPolicyLockoutSafetyCheck ?? false;
    const policyPrincipals =
      input.Policy === undefined ? null : await request.checkPolicy(bare, policy, bypass);
    const row = { ...bare, policyPrincipals };
    request.authorise("kms:CreateKey", "*", { key: row });
    if (tags.length > 0) request.authorise("kms:TagResource", "*", { key: row });
    await request.quota.take(region, account);
    const material = imported ? [] : await materialFor(request, key, region);
    request.note("replicaArn", arnOf(row));
    return {
      output: {
        ReplicaKeyMetadata: describe(row, [...related, row]),
        ReplicaPolicy: policy,
        ReplicaTags: row.tags.map((tag) => ({ ...tag })),
      },
      changes: [
        // Whoever rotates or deletes it meanwhile has to do so with the new replica in mind.
        updateKey(key, {}),
        { insert: "key", row },
        ...material.map((row) => ({ insert: "backingKey", row }) as const),
      ],
    };
  },
});

export const updatePrimaryRegion = operation({
  name: "UpdatePrimaryRegion",
  input: structure({ KeyId: shapes.KeyIdType, PrimaryRegion: shapes.RegionType }, ["KeyId", "PrimaryRegion"]),
  errors: failures,
  key: keyId,
  states: states.replicating,
  async decide(request, { PrimaryRegion: primaryRegion }, key) {
    checkPrimary(key);
    if (primaryRegion === key.region)
      throw new UnsupportedOperationException(`${arnOf(key)} is the primary key already.`);
    const related = await request.store.relatedKeys(key.keyId);
    const replica = related.find(({ region }) => region === primaryRegion);
    if (replica === undefined) throw keyNotFound(keyArn(primaryRegion, key.account, key.keyId));
    checkServed(request, primaryRegion);
    const { replicating } = states;
    await request.admitRelated(replica, {
      action: "kms:UpdatePrimaryRegion",
      aliases: false,
      states: replicating,
    });
    return { output: {}, changes: related.map((each) => updateKey(each, { primaryRegion })) };
  },
});
