import type { Kms } from "../kms.ts";

/** The id of the key that an id, ARN or alias names: most operations take no alias. */
export async function keyIdOf(kms: Kms, reference: string): Promise<string> {
  if (!/(^|:)alias\//.test(reference)) return reference;
  return (await kms.describeKey({ KeyId: reference })).KeyMetadata?.KeyId as string;
}

/** With its prefix. */
export const aliasName = (name: string) => (name.startsWith("alias/") ? name : `alias/${name}`);

type Alias = NonNullable<Awaited<ReturnType<Kms["listAliases"]>>["Aliases"]>[number];

/** Every alias of the Region, or of one key. */
export async function allAliases(kms: Kms, KeyId?: string): Promise<Alias[]> {
  const aliases: Alias[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.listAliases({
      Limit: 100,
      ...(KeyId !== undefined && { KeyId }),
      ...(Marker !== undefined && { Marker }),
    });
    aliases.push(...(page.Aliases ?? []));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return aliases;
}

/** Alias names by key id, of one key or of all. */
export async function aliasesByKey(kms: Kms, keyId?: string): Promise<Map<string, string[]>> {
  const byKey = new Map<string, string[]>();
  for (const { AliasName = "", TargetKeyId = "" } of await allAliases(kms, keyId)) {
    const names = byKey.get(TargetKeyId);
    if (names === undefined) byKey.set(TargetKeyId, [AliasName]);
    else names.push(AliasName);
  }
  return byKey;
}
