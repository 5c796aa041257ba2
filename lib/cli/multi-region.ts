import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { keyIdOf } from "./key-name.ts";

type Configuration = NonNullable<
  NonNullable<Awaited<ReturnType<Kms["describeKey"]>>["KeyMetadata"]>["MultiRegionConfiguration"]
>;

/** What `keystead key` has of several Regions. */
export function multiRegionCommands(key: Command, action: Action): void {
  key
    .command("replicate")
    .argument("<key>", "key id, ARN or alias of a multi-Region primary key")
    .argument("<region>", "Region that gets the replica")
    .description("give a key a replica in another Region: each opens what the other encrypted")
    .option("--description <text>", "what the replica is for", "")
    .option("--policy <file>", "the replica's key policy, a JSON file")
    .action(action(replicate));
  key
    .command("update-primary-region")
    .argument("<key>", "key id, ARN or alias of a multi-Region primary key")
    .argument("<region>", "Region whose replica becomes the primary key")
    .description("make a replica the primary key, and the primary key a replica")
    .action(action(updatePrimaryRegion));
}

const replicate: Work = (invocation, [reference, region], options) =>
  invocation.withKms(async (kms) => {
    const { description, policy } = options as { description: string; policy?: string };
    const KeyId = await keyIdOf(kms, reference);
    const { ReplicaKeyMetadata } = await kms.replicateKey({
      KeyId,
      ReplicaRegion: region,
      Description: description,
      Policy: policy === undefined ? undefined : await readFile(policy, "utf8"),
    });
    invocation.answer({ ReplicaKeyMetadata }, (out) =>
      out.line(`${ReplicaKeyMetadata?.KeyId} has a replica in ${region}: ${ReplicaKeyMetadata?.Arn}`),
    );
  });

const updatePrimaryRegion: Work = (invocation, [reference, region]) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    await kms.updatePrimaryRegion({ KeyId, PrimaryRegion: region });
    invocation.answer({ KeyId, PrimaryRegion: region }, (out) =>
      out.line(`${KeyId} has its primary key in ${region} now`),
    );
  });

/** "primary eu-west-1, replica us-east-1". */
export function regionsOf({ PrimaryKey, ReplicaKeys = [] }: Configuration): string {
  const replicas = ReplicaKeys.map(({ Region }) => `replica ${Region}`);
  return [`primary ${PrimaryKey?.Region}`, ...replicas].join(", ");
}
