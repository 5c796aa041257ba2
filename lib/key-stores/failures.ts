import {
  CustomKeyStoreInvalidStateException,
  KMSInvalidStateException,
  type KmsError,
  XksKeyInvalidConfigurationException,
  XksKeyNotFoundException,
  XksProxyIncorrectAuthenticationCredentialException,
  XksProxyInvalidConfigurationException,
  XksProxyInvalidResponseException,
  XksProxyUriUnreachableException,
} from "../errors.ts";

type ErrorClass = new (message: string, options?: ErrorOptions) => KmsError;

/** What a failure of a proxy means to who asked for it. */
interface Row {
  readonly text: string;
  /** To CreateCustomKeyStore and UpdateCustomKeyStore. */
  readonly settings: ErrorClass;
  /** To CreateKey. Whatever uses a key gets a `KMSInvalidStateException`. */
  readonly key: ErrorClass;
  /** To ConnectCustomKeyStore, as `ConnectionErrorCode`. */
  readonly connection: string;
}

const row = (connection: string, settings: ErrorClass, key: ErrorClass, text: string): Row => ({
  text,
  settings,
  key,
  connection,
});

const response = XksProxyInvalidResponseException;
const unreachable = XksProxyUriUnreachableException;
const configuration = XksProxyInvalidConfigurationException;
const state = CustomKeyStoreInvalidStateException;
const badKey = XksKeyInvalidConfigurationException;

const malformed = row(
  "XKS_PROXY_INVALID_RESPONSE",
  response,
  state,
  "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator.",
);
const late =
  "did not respond to the request in the time allotted. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.";

/**
 * What a proxy says and what befalls it, with the errors and texts of the table in section "Error codes" of AWS's
 * "External Key Store Proxy API Specification". The first are error names of that API.
 */
export const failures = {
  ValidationException: malformed,
  InvalidStateException: row(
    "XKS_PROXY_INVALID_CONFIGURATION",
    configuration,
    badKey,
    "The external key associated with this KMS key in an external key store is not enabled in the external key manager. Enable the external key in the external key manager and retry the request.",
  ),
  InvalidCiphertextException: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    state,
    "The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid.",
  ),
  InvalidKeyUsageException: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    badKey,
    "The external key associated with this KMS key in an external key store does not support the requested operation. Enable the operation on the key in your external key manager, and try the request again.",
  ),
  AuthenticationFailedException: row(
    "INVALID_CREDENTIALS",
    XksProxyIncorrectAuthenticationCredentialException,
    state,
    "The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS proxy authentication credentials for your external key store and update if necessary.",
  ),
  AccessDeniedException: row(
    "XKS_PROXY_ACCESS_DENIED",
    configuration,
    state,
    "The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again.",
  ),
  KeyNotFoundException: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    XksKeyNotFoundException,
    "The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID.",
  ),
  InvalidUriPathException: row(
    "XKS_PROXY_INVALID_CONFIGURATION",
    configuration,
    state,
    "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary.",
  ),
  UnsupportedOperationException: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    badKey,
    "The external key store proxy rejected the request because it does not support the requested operation. If you see this error repeatedly, report it to your external key store proxy administrator.",
  ),
  DependencyTimeoutException: row(
    "XKS_PROXY_TIMED_OUT",
    unreachable,
    state,
    `The external key store proxy ${late}`,
  ),
  ThrottlingException: row(
    "XKS_PROXY_NOT_REACHABLE",
    unreachable,
    state,
    "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store.",
  ),
  InternalException: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    state,
    "The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available.",
  ),
  malformed,
  unreachable: row(
    "XKS_PROXY_NOT_REACHABLE",
    unreachable,
    state,
    "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external key store.",
  ),
  tls: row(
    "XKS_PROXY_INVALID_TLS_CONFIGURATION",
    unreachable,
    state,
    "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate.",
  ),
  timeout: row(
    "XKS_PROXY_TIMED_OUT",
    unreachable,
    state,
    `AWS KMS rejected the request because the external key store proxy ${late}`,
  ),
  /** The proxy answers, and none of its external key managers does. */
  unavailable: row(
    "XKS_PROXY_NOT_REACHABLE",
    unreachable,
    state,
    "The external key store proxy reports that all external key manager instances are unavailable.",
  ),
  ciphertext: row(
    "XKS_PROXY_INVALID_RESPONSE",
    response,
    state,
    "The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.",
  ),
} as const satisfies Record<string, Row>;

export type FailureName = keyof typeof failures;

/** A proxy did not do what it was asked. What it says about that stays in here: callers get AWS's words. */
export class ProxyFailure extends Error {
  override readonly name = "ProxyFailure";
  readonly failure: FailureName;

  constructor(failure: FailureName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }

  get connection(): string {
    return failures[this.failure].connection;
  }

  /** As who changes settings, makes a key or uses one gets it. */
  as(whom: "settings" | "key" | "use"): KmsError {
    const found: Row = failures[this.failure];
    const Class = whom === "use" ? KMSInvalidStateException : found[whom];
    return new Class(found.text, { cause: this });
  }
}
