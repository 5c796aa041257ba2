import { Hsm, type HsmOptions } from "../hsm.ts";

/** A token that a custom key store of type AWS_CLOUDHSM can be connected to; its PIN is the store's password. */
export type ClusterOptions = Pick<HsmOptions, "module" | "environment"> & {
  /** Its label. */
  token: string;
};

/** Why a custom key store is not connected, as `ConnectionErrorCode` has it. */
export class ConnectionFailure extends Error {
  override readonly name = "ConnectionFailure";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a token says to a login, as AWS names it; what is not named here is an internal error. */
const codes: Readonly<Record<string, string>> = {
  CKR_PIN_INCORRECT: "INVALID_CREDENTIALS",
  CKR_PIN_INVALID: "INVALID_CREDENTIALS",
  CKR_PIN_LEN_RANGE: "INVALID_CREDENTIALS",
  CKR_PIN_EXPIRED: "INVALID_CREDENTIALS",
  PIN_REFUSED: "INVALID_CREDENTIALS",
  CKR_PIN_LOCKED: "USER_LOCKED_OUT",
  PIN_LOCKED: "USER_LOCKED_OUT",
  PIN_FINAL_TRY: "USER_LOCKED_OUT",
  CKR_USER_PIN_NOT_INITIALIZED: "USER_NOT_FOUND",
  CKR_USER_ANOTHER_ALREADY_LOGGED_IN: "USER_LOGGED_IN",
  TOKEN_NOT_FOUND: "INSUFFICIENT_CLOUDHSM_HSMS",
  TOKEN_UNAVAILABLE: "INSUFFICIENT_CLOUDHSM_HSMS",
  CKR_TOKEN_NOT_PRESENT: "INSUFFICIENT_CLOUDHSM_HSMS",
  CKR_DEVICE_REMOVED: "INSUFFICIENT_CLOUDHSM_HSMS",
  CKR_DEVICE_ERROR: "NETWORK_ERRORS",
  DEADLINE: "NETWORK_ERRORS",
};

/** Logs in to the token once; wipes the password. Rejects with {@link ConnectionFailure}. */
export async function openCluster(
  id: string,
  options: ClusterOptions | undefined,
  password: Uint8Array,
): Promise<Hsm> {
  try {
    if (options === undefined)
      throw new ConnectionFailure("CLUSTER_NOT_FOUND", `there is no cluster ${id} among hsm.clusters`);
    return await Hsm.open({ ...options, pin: password });
  } catch (cause) {
    if (cause instanceof ConnectionFailure) throw cause;
    const { code, message } = cause as { code?: string; message: string };
    throw new ConnectionFailure(codes[code ?? ""] ?? "INTERNAL_ERROR", message, { cause });
  } finally {
    password.fill(0);
  }
}
