export type EnvelopeErrorCode =
  /** Not a message of the format, or not laid out as the format says. */
  | "MALFORMED"
  /** The message ends before its final frame does. */
  | "TRUNCATED"
  /** A version, algorithm suite or content type of the format that is not read here. */
  | "UNSUPPORTED"
  /** A declared number or length is beyond what the caller allows. */
  | "LIMIT"
  /** The key commitment, the header's tag or a frame's tag is wrong. */
  | "NOT_AUTHENTIC"
  /** The message's encryption context lacks a pair that the caller requires. */
  | "CONTEXT_MISMATCH"
  /** No encrypted data key of the message could be opened; `cause` says why the last one could not. */
  | "NO_DATA_KEY";

/** Why a message was refused. Nothing of its plaintext that is not authentic has been given out. */
export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
  readonly code: EnvelopeErrorCode;

  constructor(code: EnvelopeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
