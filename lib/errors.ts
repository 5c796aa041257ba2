/**
 * The errors a caller can meet, as AWS KMS names them: one line an error, which is its name, its fault and its
 * class. `instanceof`, `error.name`, `error.$fault` and `error.$metadata` work as with `@aws-sdk/client-kms`.
 * A message never holds a secret; what went wrong below (a `Pkcs11Error`, say) is kept as `cause`.
 */
export type Fault = "client" | "server";

/** HTTP status by fault: KMS answers 400 to whatever the caller did wrong and 500 to what it did wrong itself. */
const status = { client: 400, server: 500 } as const;

export interface ErrorMetadata {
  httpStatusCode: number;
  /** Set by the request path once the request has an id. */
  requestId: string | undefined;
  attempts: number;
  totalRetryDelay: number;
}

export class KmsError extends Error {
  override readonly name: string;
  readonly $fault: Fault;
  readonly $metadata: ErrorMetadata;

  constructor(
    name: string,
    fault: Fault,
    message?: string,
    options?: ErrorOptions,
    httpStatusCode: number = status[fault],
  ) {
    super(message, options);
    this.name = name;
    this.$fault = fault;
    this.$metadata = {
      httpStatusCode,
      requestId: undefined,
      attempts: 1,
      totalRetryDelay: 0,
    };
  }
}

/** A base class with its name written out, so that it survives minifiers. */
function named(name: string, fault: Fault, httpStatusCode?: number) {
  return class extends KmsError {
    constructor(message?: string, options?: ErrorOptions) {
      super(name, fault, message, options, httpStatusCode);
    }
  };
}
const client = (name: string, httpStatusCode?: number) => named(name, "client", httpStatusCode);
const server = (name: string) => named(name, "server");

// In the model.
export class AlreadyExistsException extends client("AlreadyExistsException") {}
export class CloudHsmClusterInUseException extends client("CloudHsmClusterInUseException") {}
export class CloudHsmClusterInvalidConfigurationException extends client(
  "CloudHsmClusterInvalidConfigurationException",
) {}
export class CloudHsmClusterNotActiveException extends client("CloudHsmClusterNotActiveException") {}
export class CloudHsmClusterNotFoundException extends client("CloudHsmClusterNotFoundException") {}
export class CloudHsmClusterNotRelatedException extends client("CloudHsmClusterNotRelatedException") {}
export class ConflictException extends client("ConflictException") {}
export class CustomKeyStoreHasCMKsException extends client("CustomKeyStoreHasCMKsException") {}
export class CustomKeyStoreInvalidStateException extends client("CustomKeyStoreInvalidStateException") {}
export class CustomKeyStoreNameInUseException extends client("CustomKeyStoreNameInUseException") {}
export class CustomKeyStoreNotFoundException extends client("CustomKeyStoreNotFoundException") {}
export class DependencyTimeoutException extends server("DependencyTimeoutException") {}
export class DisabledException extends client("DisabledException") {}
export class DryRunOperationException extends client("DryRunOperationException") {}
export class ExpiredImportTokenException extends client("ExpiredImportTokenException") {}
export class IncorrectKeyException extends client("IncorrectKeyException") {}
export class IncorrectKeyMaterialException extends client("IncorrectKeyMaterialException") {}
export class IncorrectTrustAnchorException extends client("IncorrectTrustAnchorException") {}
export class InvalidAliasNameException extends client("InvalidAliasNameException") {}
export class InvalidArnException extends client("InvalidArnException") {}
export class InvalidCiphertextException extends client("InvalidCiphertextException") {}
export class InvalidGrantIdException extends client("InvalidGrantIdException") {}
export class InvalidGrantTokenException extends client("InvalidGrantTokenException") {}
export class InvalidImportTokenException extends client("InvalidImportTokenException") {}
export class InvalidKeyUsageException extends client("InvalidKeyUsageException") {}
export class InvalidMarkerException extends client("InvalidMarkerException") {}
export class KMSInternalException extends server("KMSInternalException") {}
export class KMSInvalidMacException extends client("KMSInvalidMacException") {}
export class KMSInvalidSignatureException extends client("KMSInvalidSignatureException") {}
export class KMSInvalidStateException extends client("KMSInvalidStateException") {}
export class KeyUnavailableException extends server("KeyUnavailableException") {}
export class LimitExceededException extends client("LimitExceededException") {}
export class MalformedPolicyDocumentException extends client("MalformedPolicyDocumentException") {}
export class NotFoundException extends client("NotFoundException") {}
export class TagException extends client("TagException") {}
export class UnsupportedOperationException extends client("UnsupportedOperationException") {}
export class XksKeyAlreadyInUseException extends client("XksKeyAlreadyInUseException") {}
export class XksKeyInvalidConfigurationException extends client("XksKeyInvalidConfigurationException") {}
export class XksKeyNotFoundException extends client("XksKeyNotFoundException") {}
export class XksProxyIncorrectAuthenticationCredentialException extends client(
  "XksProxyIncorrectAuthenticationCredentialException",
) {}
export class XksProxyInvalidConfigurationException extends client("XksProxyInvalidConfigurationException") {}
export class XksProxyInvalidResponseException extends client("XksProxyInvalidResponseException") {}
export class XksProxyUriEndpointInUseException extends client("XksProxyUriEndpointInUseException") {}
export class XksProxyUriInUseException extends client("XksProxyUriInUseException") {}
export class XksProxyUriUnreachableException extends client("XksProxyUriUnreachableException") {}
export class XksProxyVpcEndpointServiceInUseException extends client(
  "XksProxyVpcEndpointServiceInUseException",
) {}
export class XksProxyVpcEndpointServiceInvalidConfigurationException extends client(
  "XksProxyVpcEndpointServiceInvalidConfigurationException",
) {}
export class XksProxyVpcEndpointServiceNotFoundException extends client(
  "XksProxyVpcEndpointServiceNotFoundException",
) {}

// Met by clients, yet not in the model.
export class AccessDeniedException extends client("AccessDeniedException") {}
export class ValidationException extends client("ValidationException") {}
export class SerializationException extends client("SerializationException") {}
export class ThrottlingException extends client("ThrottlingException") {}
export class UnknownOperationException extends client("UnknownOperationException") {}
export class MissingAuthenticationTokenException extends client("MissingAuthenticationTokenException") {}
export class IncompleteSignatureException extends client("IncompleteSignatureException") {}
export class InvalidSignatureException extends client("InvalidSignatureException") {}
export class UnrecognizedClientException extends client("UnrecognizedClientException") {}
export class ExpiredTokenException extends client("ExpiredTokenException") {}
export class InvalidClientTokenId extends client("InvalidClientTokenId") {}
/** What HTTP has a status of its own for. */
export class RequestEntityTooLargeException extends client("RequestEntityTooLargeException", 413) {}

// Texts that several operations share. `arn` is the key's ARN.
export const keyNotFound = (arn: string) => new NotFoundException(`Key '${arn}' does not exist`);
export const aliasNotFound = (arn: string) => new NotFoundException(`Alias ${arn} is not found.`);
export const grantNotFound = (grantId: string) => new NotFoundException(`Grant ID ${grantId} not found`);
export const disabled = (arn: string) => new DisabledException(`${arn} is disabled.`);
export const pendingDeletion = (arn: string) => new KMSInvalidStateException(`${arn} is pending deletion.`);
export const notPendingDeletion = (arn: string) =>
  new KMSInvalidStateException(`${arn} is not pending deletion.`);
export const pendingReplicaDeletion = (arn: string) =>
  new KMSInvalidStateException(`${arn} is pending replica deletion.`);
export const creating = (arn: string) => new KMSInvalidStateException(`${arn} is creating.`);
export const updating = (arn: string) => new KMSInvalidStateException(`${arn} is updating.`);
export const pendingImport = (arn: string) => new KMSInvalidStateException(`${arn} is pending import.`);
export const unavailable = (arn: string) => new KMSInvalidStateException(`${arn} is unavailable.`);
export const invalidUsage = (arn: string, usage: string, operation: string) =>
  new InvalidKeyUsageException(`${arn} key usage is ${usage} which is not valid for ${operation}.`);
export const incorrectKey = () =>
  new IncorrectKeyException(
    "The key ID in the request does not identify a CMK that can perform this operation.",
  );
export const dryRun = () =>
  new DryRunOperationException("The request would have succeeded, but the DryRun option is set.");
/** Something failed that the caller cannot help; the cause stays out of the message. */
export const internal = (cause: unknown) =>
  new KMSInternalException("An internal error has occurred; the cause is in the service's log.", { cause });
