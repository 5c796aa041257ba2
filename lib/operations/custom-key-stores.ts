import { randomBytes } from "node:crypto";
import {
  CustomKeyStoreHasCMKsException,
  CustomKeyStoreInvalidStateException,
  CustomKeyStoreNameInUseException,
  CustomKeyStoreNotFoundException,
  LimitExceededException,
  ValidationException,
} from "../errors.ts";
import { configuration, findStore } from "../key-stores.ts";
import { operation, type Request } from "../operation.ts";
import { list, type Output, string, structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { Change, CustomKeyStoreRow } from "../store.ts";

const { CustomKeyStoreIdType } = shapes;

const CustomKeyStoreNameType = string({ min: 1, max: 256 });
const CustomKeyStoreType = string({ enum: ["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"] });
const TrustAnchorCertificateType = string({ min: 1, max: 5000 });
const XksProxyConnectivityType = string({ enum: ["PUBLIC_ENDPOINT", "VPC_ENDPOINT_SERVICE"] });
const XksProxyUriEndpointType = string({ min: 10, max: 128, pattern: "^https://[a-zA-Z0-9.-]+$" });
const XksProxyUriPathType = string({
  min: 10,
  max: 128,
  pattern: String.raw`^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$`,
});
const XksProxyVpcEndpointServiceNameType = string({
  min: 20,
  max: 64,
  pattern: String.raw`^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$`,
});
const AccountIdType = string({ min: 12, max: 12, pattern: "[0-9]{12}" });
const XksProxyAuthenticationAccessKeyIdType = string({
  min: 20,
  max: 30,
  pattern: "^[A-Z2-7]+$",
  sensitive: true,
});
const XksProxyAuthenticationCredentialType = structure(
  {
    AccessKeyId: XksProxyAuthenticationAccessKeyIdType,
    RawSecretAccessKey: string({
      min: 43,
      max: 64,
      pattern: String.raw`^[a-zA-Z0-9\/+=]+$`,
      sensitive: true,
    }),
  },
  ["AccessKeyId", "RawSecretAccessKey"],
);
const XksProxyConfigurationType = structure({
  Connectivity: XksProxyConnectivityType,
  AccessKeyId: XksProxyAuthenticationAccessKeyIdType,
  UriEndpoint: XksProxyUriEndpointType,
  UriPath: XksProxyUriPathType,
  VpcEndpointServiceName: XksProxyVpcEndpointServiceNameType,
  VpcEndpointServiceOwner: AccountIdType,
});
const CustomKeyStoresListEntry = structure({
  CustomKeyStoreId: CustomKeyStoreIdType,
  CustomKeyStoreName: CustomKeyStoreNameType,
  CloudHsmClusterId: shapes.CloudHsmClusterIdType,
  TrustAnchorCertificate: TrustAnchorCertificateType,
  ConnectionState: string({ enum: ["CONNECTED", "CONNECTING", "FAILED", "DISCONNECTED", "DISCONNECTING"] }),
  ConnectionErrorCode: string({
    enum: [
      "INVALID_CREDENTIALS",
      "CLUSTER_NOT_FOUND",
      "NETWORK_ERRORS",
      "INTERNAL_ERROR",
      "INSUFFICIENT_CLOUDHSM_HSMS",
      "USER_LOCKED_OUT",
      "USER_NOT_FOUND",
      "USER_LOGGED_IN",
      "SUBNET_NOT_FOUND",
      "INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET",
      "XKS_PROXY_ACCESS_DENIED",
      "XKS_PROXY_NOT_REACHABLE",
      "XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND",
      "XKS_PROXY_INVALID_RESPONSE",
      "XKS_PROXY_INVALID_CONFIGURATION",
      "XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION",
      "XKS_PROXY_TIMED_OUT",
      "XKS_PROXY_INVALID_TLS_CONFIGURATION",
    ],
  }),
  CreationDate: shapes.DateType,
  CustomKeyStoreType,
  XksProxyConfiguration: XksProxyConfigurationType,
});
type Entry = Output<typeof CustomKeyStoresListEntry>;

const StoreIdRequest = structure({ CustomKeyStoreId: CustomKeyStoreIdType }, ["CustomKeyStoreId"]);

/** How a store is reached. */
const settings = {
  CloudHsmClusterId: shapes.CloudHsmClusterIdType,
  KeyStorePassword: string({ min: 7, max: 32, sensitive: true }),
  XksProxyUriEndpoint: XksProxyUriEndpointType,
  XksProxyUriPath: XksProxyUriPathType,
  XksProxyVpcEndpointServiceName: XksProxyVpcEndpointServiceNameType,
  XksProxyVpcEndpointServiceOwner: AccountIdType,
  XksProxyAuthenticationCredential: XksProxyAuthenticationCredentialType,
  XksProxyConnectivity: XksProxyConnectivityType,
} as const;

const configurationFailures = [
  "CustomKeyStoreNameInUseException",
  "CloudHsmClusterNotFoundException",
  "CloudHsmClusterNotActiveException",
  "CloudHsmClusterInvalidConfigurationException",
  "KMSInternalException",
  "XksProxyUriInUseException",
  "XksProxyUriEndpointInUseException",
  "XksProxyUriUnreachableException",
  "XksProxyIncorrectAuthenticationCredentialException",
  "XksProxyVpcEndpointServiceInUseException",
  "XksProxyVpcEndpointServiceNotFoundException",
  "XksProxyVpcEndpointServiceInvalidConfigurationException",
  "XksProxyInvalidResponseException",
  "XksProxyInvalidConfigurationException",
] as const;
const stateFailures = [
  "CustomKeyStoreInvalidStateException",
  "CustomKeyStoreNotFoundException",
  "KMSInternalException",
] as const;

/** AWS's quota in an account and Region. */
const STORES = 10;

export const createCustomKeyStore = operation({
  name: "CreateCustomKeyStore",
  input: structure(
    {
      CustomKeyStoreName: CustomKeyStoreNameType,
      TrustAnchorCertificate: TrustAnchorCertificateType,
      CustomKeyStoreType,
      ...settings,
    },
    ["CustomKeyStoreName"],
  ),
  output: structure({ CustomKeyStoreId: CustomKeyStoreIdType }),
  errors: [
    ...configurationFailures,
    "CloudHsmClusterInUseException",
    "IncorrectTrustAnchorException",
    "LimitExceededException",
  ],
  resource: "*",
  async decide(request, { CustomKeyStoreName: name, CustomKeyStoreType: type = "AWS_CLOUDHSM", ...given }) {
    const { region, account, now, keyStores } = request;
    const { settings, secret } = configuration(type, given);
    const others = await storesOf(request);
    refuseTaken(name, others);
    if (others.length >= STORES)
      throw new LimitExceededException(`This account has ${STORES} custom key stores in ${region}: no more.`);
    const asked = { region, operation: "CreateCustomKeyStore", requestId: request.id };
    await keyStores.check(type, { settings, secret, before: undefined, others, ...asked });
    const customKeyStoreId = `cks-${randomBytes(9).toString("hex").slice(1)}`;
    const row = {
      region,
      account,
      customKeyStoreId,
      name,
      type,
      settings,
      secret: await keyStores.sealSecret(customKeyStoreId, secret as string),
      connectionState: "DISCONNECTED",
      createdAt: now,
    };
    return {
      output: { CustomKeyStoreId: customKeyStoreId },
      changes: [{ insert: "customKeyStore", row }],
    };
  },
});

export const describeCustomKeyStores = operation({
  name: "DescribeCustomKeyStores",
  input: structure({
    CustomKeyStoreId: CustomKeyStoreIdType,
    CustomKeyStoreName: CustomKeyStoreNameType,
    Limit: shapes.LimitType,
    Marker: shapes.MarkerType,
  }),
  output: structure({
    CustomKeyStores: list(CustomKeyStoresListEntry),
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: ["CustomKeyStoreNotFoundException", "InvalidMarkerException", "KMSInternalException"],
  resource: "*",
  async run(request, { CustomKeyStoreId: id, CustomKeyStoreName: name, Limit: limit = 100, Marker }) {
    const { store, markers, region, account } = request;
    if (id !== undefined && name !== undefined)
      throw new ValidationException("Give either CustomKeyStoreId or CustomKeyStoreName, not both.");
    if (id !== undefined) return { CustomKeyStores: [tell(await findStore(request, id))], Truncated: false };
    if (name !== undefined) {
      const named = (await storesOf(request)).find((row) => row.name === name);
      if (named !== undefined) return { CustomKeyStores: [tell(named)], Truncated: false };
      throw new CustomKeyStoreNotFoundException(
        `There is no custom key store named ${JSON.stringify(name)}.`,
      );
    }
    const list = `DescribeCustomKeyStores ${region} ${account}`;
    const after = markers.read(list, Marker);
    const rows = await store.listCustomKeyStores(region, account, { after, limit: limit + 1 });
    const { page, next } = markers.page(list, rows, limit, (row) => row.customKeyStoreId);
    return { CustomKeyStores: page.map(tell), ...next };
  },
});

export const updateCustomKeyStore = operation({
  name: "UpdateCustomKeyStore",
  input: structure(
    { CustomKeyStoreId: CustomKeyStoreIdType, NewCustomKeyStoreName: CustomKeyStoreNameType, ...settings },
    ["CustomKeyStoreId"],
  ),
  output: structure({}),
  errors: [
    ...configurationFailures,
    "CustomKeyStoreNotFoundException",
    "CustomKeyStoreInvalidStateException",
    "CloudHsmClusterNotRelatedException",
  ],
  resource: "*",
  // What is behind a store may take long to answer: nobody else is to wait for that.
  independent: true,
  async decide(request, { CustomKeyStoreId: id, NewCustomKeyStoreName: name, ...given }) {
    const { keyStores } = request;
    const row = await findStore(request, id);
    const { settings, secret, named, whileConnected } = configuration(row.type, given, row);
    refuseState(row, whileConnected ? ["CONNECTED", "DISCONNECTED"] : ["DISCONNECTED"]);
    const others = (await storesOf(request)).filter((other) => other.customKeyStoreId !== id);
    if (name !== undefined) refuseTaken(name, others);
    if (named.length > 0) {
      const asked = { region: row.region, operation: "UpdateCustomKeyStore", requestId: request.id };
      await keyStores.check(row.type, { settings, secret, before: row, others, ...asked });
    }
    const set = {
      ...(name !== undefined && { name }),
      ...(named.length > 0 && { settings }),
      ...(secret !== undefined && { secret: await keyStores.sealSecret(id, secret) }),
    };
    return { output: {}, changes: [updateStore(row, set)] };
  },
});

export const connectCustomKeyStore = operation({
  name: "ConnectCustomKeyStore",
  input: StoreIdRequest,
  output: structure({}),
  errors: [
    ...stateFailures,
    "CloudHsmClusterNotActiveException",
    "CloudHsmClusterInvalidConfigurationException",
  ],
  resource: "*",
  independent: true,
  async decide(request, { CustomKeyStoreId: id }) {
    const row = await findStore(request, id);
    refuseState(row, ["CONNECTED", "CONNECTING", "DISCONNECTED"]);
    if (row.connectionState === "CONNECTED") return { output: {}, changes: [] };
    const connectionErrorCode = (await request.keyStores.connect(row, request.id)) ?? null;
    const connectionState = connectionErrorCode === null ? "CONNECTED" : "FAILED";
    return { output: {}, changes: [updateStore(row, { connectionState, connectionErrorCode })] };
  },
});

export const disconnectCustomKeyStore = operation({
  name: "DisconnectCustomKeyStore",
  input: StoreIdRequest,
  output: structure({}),
  errors: stateFailures,
  resource: "*",
  async decide(request, { CustomKeyStoreId: id }) {
    const row = await findStore(request, id);
    refuseState(row, ["CONNECTED", "CONNECTING", "FAILED"]);
    // Nobody waits for the token: what is under way ends in good order.
    void request.keyStores.release(row);
    const set = { connectionState: "DISCONNECTED", connectionErrorCode: null };
    return { output: {}, changes: [updateStore(row, set)] };
  },
});

export const deleteCustomKeyStore = operation({
  name: "DeleteCustomKeyStore",
  input: StoreIdRequest,
  output: structure({}),
  errors: [...stateFailures, "CustomKeyStoreHasCMKsException"],
  resource: "*",
  async decide(request, { CustomKeyStoreId: id }) {
    const row = await findStore(request, id);
    const { region, customKeyStoreId, revision } = row;
    if ((await request.store.keysOfCustomKeyStore(region, id, 1)).length > 0)
      throw new CustomKeyStoreHasCMKsException(`Custom key store ${id} has KMS keys: delete these first.`);
    refuseState(row, ["DISCONNECTED"]);
    return { output: {}, changes: [{ delete: "customKeyStore", region, customKeyStoreId, revision }] };
  },
});

/** All of them: there are few. */
async function storesOf({ store, region, account }: Request): Promise<CustomKeyStoreRow[]> {
  return store.listCustomKeyStores(region, account, { limit: -1 });
}

function updateStore(
  { region, customKeyStoreId, revision }: CustomKeyStoreRow,
  set: Extract<Change, { update: "customKeyStore" }>["set"],
): Change {
  return { update: "customKeyStore", region, customKeyStoreId, revision, set };
}

function refuseTaken(name: string, stores: readonly CustomKeyStoreRow[]): void {
  if (stores.some((row) => row.name === name))
    throw new CustomKeyStoreNameInUseException(
      `A custom key store of this account is named ${JSON.stringify(name)}.`,
    );
}

function refuseState({ customKeyStoreId, connectionState }: CustomKeyStoreRow, fit: readonly string[]): void {
  if (!fit.includes(connectionState))
    throw new CustomKeyStoreInvalidStateException(
      `Custom key store ${customKeyStoreId} is ${connectionState}; for this it must be ${fit.join(" or ")}.`,
    );
}

/** What there is to tell of a store; never its secret. */
function tell({ settings, ...row }: CustomKeyStoreRow): Entry {
  const entry: Entry = {
    CustomKeyStoreId: row.customKeyStoreId,
    CustomKeyStoreName: row.name,
    CustomKeyStoreType: row.type as Entry["CustomKeyStoreType"],
    ConnectionState: row.connectionState as Entry["ConnectionState"],
    CreationDate: new Date(row.createdAt),
  };
  if (row.connectionErrorCode !== null)
    entry.ConnectionErrorCode = row.connectionErrorCode as Entry["ConnectionErrorCode"];
  if (row.type === "AWS_CLOUDHSM") {
    entry.CloudHsmClusterId = settings.CloudHsmClusterId;
    entry.TrustAnchorCertificate = settings.TrustAnchorCertificate;
    return entry;
  }
  entry.XksProxyConfiguration = {
    Connectivity: settings.XksProxyConnectivity as "PUBLIC_ENDPOINT",
    AccessKeyId: settings.AccessKeyId,
    UriEndpoint: settings.XksProxyUriEndpoint,
    UriPath: settings.XksProxyUriPath,
    ...(settings.XksProxyVpcEndpointServiceName !== undefined && {
      VpcEndpointServiceName: settings.XksProxyVpcEndpointServiceName,
      VpcEndpointServiceOwner: settings.XksProxyVpcEndpointServiceOwner ?? row.account,
    }),
  };
  return entry;
}
