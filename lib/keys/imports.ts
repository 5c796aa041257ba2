import { algorithmOf, isSymmetric, type KeySpec } from "../algorithms.ts";
import { bindingContext } from "../ciphertext.ts";
import {
  ExpiredImportTokenException,
  IncorrectKeyMaterialException,
  InvalidCiphertextException,
  InvalidImportTokenException,
  KMSInvalidStateException,
} from "../errors.ts";
import type { Hsm, ImportedKey } from "../hsm.ts";
import type { BackingKeyRow, Change, KeyChanges, KeyRow, New, Store } from "../store.ts";
import { type ImportToken, readImportToken, wrappings } from "./import-token.ts";
import { arnOf } from "./metadata.ts";
import { isReplica } from "./rotation.ts";

/** What is imported, and for how long. */
export interface Import {
  readonly token: Uint8Array;
  readonly encrypted: Uint8Array;
  readonly importType: "NEW_KEY_MATERIAL" | "EXISTING_KEY_MATERIAL" | undefined;
  readonly materialId: string | undefined;
  readonly description: string | undefined;
  readonly expirationModel: string;
  readonly validTo: number | null;
}

interface Surroundings {
  readonly hsm: Hsm;
  readonly store: Store;
  readonly now: number;
}

/**
 * Imports material into a key of origin EXTERNAL. A key's first material makes it usable. Later the same material may
 * come again, under its id; material that is new to a symmetric key waits for a rotation on demand.
 */
export async function importMaterial(
  { hsm, store, now }: Surroundings,
  key: KeyRow,
  order: Import,
): Promise<{ materialId: string; changes: Change[] }> {
  const token = readImportToken(order.token, key);
  if (token === undefined) throw new InvalidImportTokenException();
  if (token.validTo <= now) throw new ExpiredImportTokenException();
  const rows = await store.backingKeys(key.region, key.keyId);
  const known = isReplica(key) ? await store.backingKeys(key.primaryRegion as string, key.keyId) : rows;
  const importing = (version: number) => unwrap(hsm, key, token, order.encrypted, version);
  const last = rows.at(-1)?.version ?? 0;
  let imported = await importing(last || 1);
  const same = known.find(({ materialId }) => materialId === imported.materialId);
  const importType = order.importType ?? (known.length === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL");
  checkType(key, importType, same, known);
  if (order.materialId !== undefined && order.materialId !== imported.materialId)
    throw new IncorrectKeyMaterialException("KeyMaterialId is not that of the key material in the request.");
  const version = same?.version ?? last + 1;
  // The blob is bound to its version, which only the material tells.
  if (version !== (last || 1)) imported = await importing(version);
  const held = {
    blob: imported.blob,
    publicKey: imported.publicKey ?? null,
    expirationModel: order.expirationModel,
    validTo: order.validTo,
    description: order.description ?? same?.description ?? null,
  };
  const { region, keyId } = key;
  const { materialId } = imported;
  const state = same?.state ?? (key.materialId === null ? "CURRENT" : "PENDING_ROTATION");
  const row = { ...(same ?? { createdAt: now }), region, keyId, version, materialId, state, ...held };
  const present = rows.some((each) => each.materialId === materialId);
  const change: Change = present
    ? { update: "backingKey", region, keyId, materialId, set: held }
    : { insert: "backingKey", row };
  const after = [...rows.filter((each) => each.materialId !== materialId), row];
  return {
    materialId,
    changes: [change, keyAfter(key, after, state === "CURRENT" ? materialId : undefined)],
  };
}

/** Takes material from a key until it is imported again; what only waited for a rotation is gone. */
export async function removeMaterial(
  { store }: Pick<Surroundings, "store">,
  key: KeyRow,
  gone: (row: BackingKeyRow) => boolean,
): Promise<Change[]> {
  const { region, keyId } = key;
  const rows = await store.backingKeys(region, keyId);
  const leaving = rows.filter((row) => row.blob !== null && gone(row));
  if (leaving.length === 0) return [];
  const changes = leaving.map(
    ({ materialId, state }): Change =>
      state === "PENDING_ROTATION"
        ? { delete: "backingKey", region, keyId, materialId }
        : {
            update: "backingKey",
            region,
            keyId,
            materialId,
            set: { blob: null, validTo: null, expirationModel: null },
          },
  );
  const after = rows
    .filter((row) => !(leaving.includes(row) && row.state === "PENDING_ROTATION"))
    .map((row) =>
      leaving.includes(row) ? { ...row, blob: null, validTo: null, expirationModel: null } : row,
    );
  return [...changes, keyAfter(key, after, undefined)];
}

/** What the rows of a key's material make of the key: usable only while it has all that it ever sealed with. */
function keyAfter(key: KeyRow, rows: readonly New<BackingKeyRow>[], current: string | undefined): Change {
  const { region, keyId, revision, keyState } = key;
  const needed = rows.filter(({ state }) => state !== "PENDING_ROTATION");
  const ends = rows.flatMap(({ blob, validTo }) => (blob && validTo ? [validTo] : []));
  const complete = needed.length > 0 && needed.every(({ blob }) => blob);
  const validTo = ends.length === 0 ? null : Math.min(...ends);
  const models = needed.flatMap(({ blob, expirationModel }) =>
    blob && expirationModel ? [expirationModel] : [],
  );
  const set: KeyChanges = {
    validTo,
    expirationModel: validTo === null ? (models[0] ?? null) : "KEY_MATERIAL_EXPIRES",
    ...(current !== undefined && { materialId: current }),
    ...(keyState === "PendingImport" && complete && { keyState: "Enabled" }),
    ...(!/^Pending(Replica)?Deletion$/.test(keyState) && !complete && { keyState: "PendingImport" }),
  };
  return { update: "key", region, keyId, revision, set };
}

function checkType(
  key: KeyRow,
  importType: Import["importType"],
  same: BackingKeyRow | undefined,
  known: readonly BackingKeyRow[],
): void {
  if (importType === "EXISTING_KEY_MATERIAL") {
    if (same === undefined) throw incorrect("is none that was imported into this KMS key before");
    return;
  }
  if (known.length === 0) return;
  if (same !== undefined && same.blob !== null)
    throw incorrect("was imported into this KMS key before: name EXISTING_KEY_MATERIAL as the ImportType");
  if (same === undefined && !isSymmetric(key.keySpec as KeySpec))
    throw incorrect("is not the same that was imported into this KMS key before, which can have no other");
  if (same === undefined && known.some(({ state }) => state === "PENDING_ROTATION"))
    throw new KMSInvalidStateException(`${arnOf(key)} has key material pending rotation.`);
}

const incorrect = (what: string) =>
  new IncorrectKeyMaterialException(`The key material in the request ${what}.`);

async function unwrap(
  hsm: Hsm,
  key: KeyRow,
  { wrapping, algorithm }: ImportToken,
  encrypted: Uint8Array,
  version: number,
): Promise<ImportedKey> {
  const { region, account, keyId, keySpec } = key;
  const id = "0".repeat(64);
  const context = bindingContext({ region, account, keyId, keySpec, version, materialId: id });
  const { material } = algorithmOf(keySpec as KeySpec);
  // The id is the last text of the context, in front of the version.
  const materialIdAt = context.length - 4 - id.length;
  const order = { domain: region, context, materialIdAt, idContext: Buffer.from(keyId), material };
  try {
    return await hsm.importKey({ wrapping, algorithm: wrappings[algorithm], encrypted, ...order });
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "BINDING_MISMATCH" || code === "KEY_BLOB")
      throw new InvalidImportTokenException(undefined, { cause });
    if (code === "IMPORT_CIPHERTEXT") throw new InvalidCiphertextException(undefined, { cause });
    if (code === "IMPORT_MATERIAL")
      throw new IncorrectKeyMaterialException(`The key material is none of key spec ${keySpec}.`, { cause });
    throw cause;
  }
}
