import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { usage } from "./exit.ts";
import { keyIdOf } from "./key-name.ts";
import { wholeNumber } from "./pairs.ts";

/** What `keystead key` has of rotation. */
export function rotationCommands(key: Command, action: Action): void {
  key
    .command("rotate")
    .argument("<key>", "key id, ARN or alias")
    .description("give a key new material at once; what it encrypted before still opens")
    .action(action(rotate));
  key
    .command("rotation")
    .argument("<key>", "key id, ARN or alias")
    .description("show when a key was rotated and will be, or change that")
    .option("--every <days>", "rotate it by itself, 90 to 2560 days apart", wholeNumber(90, 2560))
    .option("--off", "rotate it no more by itself")
    .action(action(rotation));
}

const rotate: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    await kms.rotateKeyOnDemand({ KeyId });
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    const material = KeyMetadata?.CurrentKeyMaterialId;
    invocation.answer({ KeyId, CurrentKeyMaterialId: material }, (out) => {
      out.line(`${KeyId} encrypts with new material from now on: ${material}`);
      out.line("what it encrypted before still opens");
    });
  });

const rotation: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const { every, off } = options as { every?: number; off?: boolean };
    if (every !== undefined && off) throw usage("--every and --off contradict each other", "give one");
    const KeyId = await keyIdOf(kms, reference);
    if (every !== undefined) await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: every });
    if (off) await kms.disableKeyRotation({ KeyId });
    const { $metadata, ...status } = await kms.getKeyRotationStatus({ KeyId });
    const Rotations = await materialsOf(kms, KeyId);
    invocation.answer({ ...status, Rotations }, (out) => {
      out.line(
        status.KeyRotationEnabled
          ? `rotated every ${status.RotationPeriodInDays} days, next on ${dayOf(status.NextRotationDate)}`
          : `not rotated by itself; to change that: keystead key rotation ${KeyId} --every 365`,
      );
      out.table(
        ["MATERIAL", "STATE", "SINCE", "ROTATION"],
        Rotations.map((each) => [
          each.KeyMaterialId ?? "",
          each.KeyMaterialState ?? "",
          dayOf(each.RotationDate) || "the beginning",
          each.RotationType ?? "",
        ]),
      );
    });
  });

type Entry = NonNullable<Awaited<ReturnType<Kms["listKeyRotations"]>>["Rotations"]>[number];

async function materialsOf(kms: Kms, KeyId: string): Promise<Entry[]> {
  const materials: Entry[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL", Marker });
    materials.push(...(page.Rotations ?? []));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return materials;
}

const dayOf = (date: Date | undefined) => date?.toISOString().slice(0, 10) ?? "";
