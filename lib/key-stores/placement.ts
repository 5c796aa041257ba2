import { UnsupportedOperationException, ValidationException } from "../errors.ts";
import type { CustomKeyStoreRow, Store } from "../store.ts";
import { checkConnected, findStore } from "./configuration.ts";

/** What CreateKey is given that says where the material is to be. */
export interface Placement {
  readonly Origin?: string | undefined;
  readonly CustomKeyStoreId?: string | undefined;
  readonly XksKeyId?: string | undefined;
  readonly MultiRegion?: boolean | undefined;
}

/** The custom key store that a new key is to be made in, which is connected; undefined where it is to be in none. */
export async function storeFor(
  request: { store: Store; region: string; account: string },
  { Origin, CustomKeyStoreId, XksKeyId, MultiRegion }: Placement,
  keySpec: string,
): Promise<CustomKeyStoreRow | undefined> {
  if (CustomKeyStoreId === undefined) {
    if (Origin === "AWS_CLOUDHSM" || Origin === "EXTERNAL_KEY_STORE")
      throw new ValidationException(`A key of Origin ${Origin} needs a CustomKeyStoreId.`);
    if (XksKeyId !== undefined)
      throw new ValidationException("XksKeyId is for keys of Origin EXTERNAL_KEY_STORE only.");
    return undefined;
  }
  const row = await findStore(request, CustomKeyStoreId);
  if (Origin !== row.type)
    throw new ValidationException(
      `Custom key store ${CustomKeyStoreId} is for keys of Origin ${row.type}; this one has ${Origin ?? "AWS_KMS"}.`,
    );
  if ((XksKeyId === undefined) === (row.type === "EXTERNAL_KEY_STORE"))
    throw new ValidationException("XksKeyId is for keys of Origin EXTERNAL_KEY_STORE, which need it.");
  if (keySpec !== "SYMMETRIC_DEFAULT" || MultiRegion)
    throw new UnsupportedOperationException(
      "A custom key store has symmetric encryption keys of a single Region only.",
    );
  checkConnected(row);
  return row;
}
