import {
  UnsupportedOperationException,
  ValidationException,
  XksKeyAlreadyInUseException,
} from "../errors.ts";
import type { KeyStores } from "../key-stores.ts";
import type { CustomKeyStoreRow, Store } from "../store.ts";
import { checkConnected, findStore } from "./configuration.ts";

/** What CreateKey is given that says where the material is to be. */
export interface Placement {
  readonly Origin?: string | undefined;
  readonly CustomKeyStoreId?: string | undefined;
  readonly XksKeyId?: string | undefined;
  readonly MultiRegion?: boolean | undefined;
}

/** Of a request, what is asked of it here. */
interface Asking {
  readonly id: string;
  readonly principal: { readonly arn: string };
  readonly region: string;
  readonly account: string;
  readonly store: Store;
  readonly keyStores: KeyStores;
}

/** The custom key store that a new key is to be made in, which is connected; undefined where it is to be in none. */
export async function storeFor(
  request: Asking,
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
  if (XksKeyId !== undefined) await checkExternalKey(request, row, XksKeyId);
  return row;
}

async function checkExternalKey(
  { id, principal, region, store, keyStores }: Asking,
  row: CustomKeyStoreRow,
  xksKeyId: string,
): Promise<void> {
  if ((await store.keyOfExternalKey(region, row.customKeyStoreId, xksKeyId)) !== undefined)
    throw new XksKeyAlreadyInUseException(
      `External key ${xksKeyId} stands behind another key of custom key store ${row.customKeyStoreId}.`,
    );
  const use = { principal: principal.arn, operation: "CreateKey", requestId: id };
  await keyStores.proxies.checkKey(row, xksKeyId, use);
}
