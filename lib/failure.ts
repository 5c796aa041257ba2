import {
  ConflictException,
  DependencyTimeoutException,
  internal,
  KeyUnavailableException,
  KMSInternalException,
  KMSInvalidStateException,
  KmsError,
  UnsupportedOperationException,
} from "./errors.ts";

/** What the engine and the token say when the token cannot be reached, as opposed to refusing something. */
const away = new Set([
  "TOKEN_UNAVAILABLE",
  "CKR_DEVICE_REMOVED",
  "CKR_DEVICE_ERROR",
  "CKR_TOKEN_NOT_PRESENT",
  "CKR_TOKEN_NOT_RECOGNIZED",
  "CKR_SLOT_ID_INVALID",
  "CKR_CRYPTOKI_NOT_INITIALIZED",
]);

/** What a caller is told of a failure: its own faults as they are, ours by their kind, with the cause kept. */
export function failureOf(cause: unknown, resources: readonly string[]): KmsError {
  if (cause instanceof KmsError) return cause;
  if ((cause as Error | undefined)?.name === "StoreConflict")
    return new ConflictException("What this request is about was changed by another at the same time.", {
      cause,
    });
  const code = codeOf(cause);
  if (code === undefined) return internal(cause);
  if (away.has(code))
    return new KeyUnavailableException("The HSM cannot be reached at present; try again later.", { cause });
  if (code === "DEADLINE")
    return new DependencyTimeoutException("The HSM did not answer in time; try again.", { cause });
  if (code === "MECHANISM_MISSING")
    return new UnsupportedOperationException((cause as Error).message, { cause });
  if (code === "KEY_NOT_FOUND")
    return new KMSInvalidStateException(
      `The material of ${resources.join(" or ")} is not in its custom key store any more.`,
      { cause },
    );
  if (code === "BINDING_MISMATCH")
    return new KMSInternalException(
      `The stored material of ${resources.join(" or ")} is damaged or was moved there from another key.`,
      { cause },
    );
  return internal(cause);
}

/** The code of a Pkcs11Error or EngineError. */
function codeOf(cause: unknown): string | undefined {
  const { name, code } = (cause ?? {}) as { name?: unknown; code?: unknown };
  return (name === "Pkcs11Error" || name === "EngineError") && typeof code === "string" ? code : undefined;
}
