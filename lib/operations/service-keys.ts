import { managedKeyPolicy, ownedKeyPolicy } from "../access.ts";
import { isAccount } from "../arn.ts";
import { describe, newKey, newKeyId } from "../keys.ts";
import { operation } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const DAY = 86_400_000;
const PERIOD = 365;

/**
 * Makes the key that a service's own alias is to name, and the alias; done in the account that the key is to be in,
 * where the first use of the alias finds none. Nobody can ask for it: it is in no table.
 */
export const createServiceKey = operation({
  name: "CreateKey",
  input: structure({ AliasName: shapes.AliasNameType }, ["AliasName"]),
  output: structure({ KeyMetadata: shapes.KeyMetadata }),
  errors: ["KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException"],
  async decide(request, { AliasName: name }) {
    const { region, account, now, principal, store } = request;
    const alias = await store.alias(region, account, name);
    const there = alias && (await store.key(region, alias.keyId));
    // Another process may be first.
    if (there !== undefined) return { output: { KeyMetadata: describe(there) }, changes: [] };
    const managed = isAccount(account);
    const [, , service = ""] = name.split("/");
    const key = { region, account, keyId: newKeyId(false), keySpec: "SYMMETRIC_DEFAULT" };
    const material = await request.keys.create({ ...key, version: 1 }, now);
    const row = newKey({
      ...key,
      keyUsage: "ENCRYPT_DECRYPT",
      origin: "AWS_KMS",
      keyManager: "AWS",
      service: principal.arn,
      keyState: "Enabled",
      description: managed
        ? `Default key that protects my data in ${service} when no other key is defined`
        : `Owned by ${principal.arn}`,
      policy: managed ? managedKeyPolicy(service, region, account) : ownedKeyPolicy(principal.arn),
      createdAt: now,
      multiRegion: false,
      tags: [],
      materialId: material.materialId,
      rotationPeriod: PERIOD,
      nextRotationAt: now + PERIOD * DAY,
    });
    return {
      output: { KeyMetadata: describe(row) },
      changes: [
        { insert: "key", row },
        { insert: "backingKey", row: material },
        { insert: "alias", row: { region, account, name, keyId: key.keyId, createdAt: now, updatedAt: now } },
      ],
    };
  },
});
