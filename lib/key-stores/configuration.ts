import {
  CustomKeyStoreInvalidStateException,
  CustomKeyStoreNotFoundException,
  ValidationException,
} from "../errors.ts";
import type { CustomKeyStoreRow, Store } from "../store.ts";

/** What a caller may say of how a store is reached. */
export interface StoreSettings {
  readonly CloudHsmClusterId?: string | undefined;
  readonly TrustAnchorCertificate?: string | undefined;
  readonly KeyStorePassword?: string | undefined;
  readonly XksProxyUriEndpoint?: string | undefined;
  readonly XksProxyUriPath?: string | undefined;
  readonly XksProxyVpcEndpointServiceName?: string | undefined;
  readonly XksProxyVpcEndpointServiceOwner?: string | undefined;
  readonly XksProxyAuthenticationCredential?:
    | { readonly AccessKeyId: string; readonly RawSecretAccessKey: string }
    | undefined;
  readonly XksProxyConnectivity?: string | undefined;
}
type Member = keyof StoreSettings;

/** Settings that a store is to get. */
export interface Candidate {
  readonly settings: Readonly<Record<string, string>>;
  /** Left out where it stays as it is. */
  readonly secret: string | undefined;
  /** The store that gets them, unless it is new. */
  readonly before: CustomKeyStoreRow | undefined;
  /** All others of the account in this Region. */
  readonly others: readonly CustomKeyStoreRow[];
  readonly region: string;
  readonly operation: string;
  readonly requestId: string;
}

/** What is behind the stores of one type. */
export interface Backing {
  /** Rejects with what AWS does when a store cannot be reached that way. */
  check(candidate: Candidate): Promise<void>;
  /** Resolves to the `ConnectionErrorCode`, or undefined once it is connected. */
  connect(row: CustomKeyStoreRow, requestId: string): Promise<string | undefined>;
  release(customKeyStoreId: string): Promise<void>;
}

interface Kind {
  readonly required: readonly Member[];
  readonly optional: readonly Member[];
  /** Those that may change while the store is connected. */
  readonly connected: readonly Member[];
}

const kinds: Readonly<Record<string, Kind>> = {
  AWS_CLOUDHSM: {
    required: ["CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword"],
    optional: [],
    connected: [],
  },
  EXTERNAL_KEY_STORE: {
    required: [
      "XksProxyConnectivity",
      "XksProxyAuthenticationCredential",
      "XksProxyUriEndpoint",
      "XksProxyUriPath",
    ],
    optional: ["XksProxyVpcEndpointServiceName", "XksProxyVpcEndpointServiceOwner"],
    connected: ["XksProxyAuthenticationCredential", "XksProxyUriPath"],
  },
};

/** The settings of a new store, or those of one as they are to be. Throws `ValidationException`. */
export function configuration(type: string, given: StoreSettings, before?: CustomKeyStoreRow) {
  const { required, optional, connected } = kinds[type] as Kind;
  const { KeyStorePassword, XksProxyAuthenticationCredential: credential, ...plain } = given;
  const named = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [name as Member],
  );
  for (const name of named)
    if (!required.includes(name) && !optional.includes(name))
      throw new ValidationException(`${name} is not a property of a custom key store of type ${type}.`);
  if (before === undefined)
    for (const name of required)
      if (!named.includes(name))
        throw new ValidationException(`${name} is required for a custom key store of type ${type}.`);
  const settings: Record<string, string> = { ...before?.settings };
  for (const [name, value] of Object.entries(plain)) if (value !== undefined) settings[name] = value;
  if (credential !== undefined) settings.AccessKeyId = credential.AccessKeyId;
  if (settings.XksProxyConnectivity === "PUBLIC_ENDPOINT") {
    for (const name of ["XksProxyVpcEndpointServiceName", "XksProxyVpcEndpointServiceOwner"] as const) {
      if (given[name] !== undefined)
        throw new ValidationException(`${name} is for stores of connectivity VPC_ENDPOINT_SERVICE only.`);
      delete settings[name];
    }
  } else if (type === "EXTERNAL_KEY_STORE" && settings.XksProxyVpcEndpointServiceName === undefined)
    throw new ValidationException(
      "Connectivity VPC_ENDPOINT_SERVICE needs an XksProxyVpcEndpointServiceName.",
    );
  const secret = KeyStorePassword ?? credential?.RawSecretAccessKey;
  return { settings, secret, named, whileConnected: named.every((name) => connected.includes(name)) };
}

/** The account's store with this id; throws `CustomKeyStoreNotFoundException`. */
export async function findStore(
  { store, region, account }: { store: Store; region: string; account: string },
  customKeyStoreId: string,
): Promise<CustomKeyStoreRow> {
  const row = await store.row("customKeyStore", region, customKeyStoreId);
  if (row?.account === account) return row;
  throw new CustomKeyStoreNotFoundException(`Custom key store ${customKeyStoreId} is not found.`);
}

export function checkConnected(row: CustomKeyStoreRow): void {
  if (row.connectionState !== "CONNECTED")
    throw new CustomKeyStoreInvalidStateException(
      `Custom key store ${row.customKeyStoreId} is ${row.connectionState}: connect it first.`,
    );
}
