import type { EncryptionContext } from "../ciphertext.ts";
import type { Caller } from "../request.ts";
import { EnvelopeError } from "./error.ts";
import type { EncryptedDataKey, Header } from "./header.ts";
import type { Suite } from "./suite.ts";

/** The key provider id of KMS keyrings in every AWS Encryption SDK. */
const PROVIDER = "aws-kms";

export interface DataKey {
  /** Wiped by whoever asked for it. */
  plaintext: Uint8Array;
  encrypted: EncryptedDataKey;
}

/** A fresh data key under `KeyId`; errors of GenerateDataKey pass through. */
export async function generateDataKey(
  caller: Caller,
  suite: Suite,
  KeyId: string,
  EncryptionContext: EncryptionContext,
): Promise<DataKey> {
  const output = (await caller.request("GenerateDataKey", {
    KeyId,
    KeySpec: suite.keySpec,
    EncryptionContext,
  })) as { KeyId: string; Plaintext: Uint8Array; CiphertextBlob: Uint8Array };
  return {
    plaintext: output.Plaintext,
    encrypted: { providerId: PROVIDER, providerInfo: output.KeyId, ciphertext: output.CiphertextBlob },
  };
}

/**
 * The data key of a message: the first of its encrypted data keys that the caller may decrypt, of those under
 * `keys` (ARNs or key ids) when these are given.
 */
export async function decryptDataKey(
  caller: Caller,
  header: Header,
  keys: string[] | undefined,
): Promise<DataKey> {
  const candidates = header.encryptedDataKeys.filter(
    ({ providerId, providerInfo }) => providerId === PROVIDER && (keys?.some(names(providerInfo)) ?? true),
  );
  let cause: unknown;
  for (const encrypted of candidates) {
    try {
      return { plaintext: await decryptWith(caller, header, encrypted), encrypted };
    } catch (error) {
      cause = error;
    }
  }
  if (candidates.length === 0) {
    const whose = keys ? `the key ${keys.join(" or ")}` : "a KMS key";
    throw new EnvelopeError("NO_DATA_KEY", `the message has no data key that is encrypted under ${whose}`);
  }
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  throw new EnvelopeError(
    "NO_DATA_KEY",
    `no data key of the message can be decrypted (${candidates.length} tried, the last one: ${reason})`,
    { cause },
  );
}

async function decryptWith(caller: Caller, header: Header, encrypted: EncryptedDataKey): Promise<Uint8Array> {
  const output = (await caller.request("Decrypt", {
    KeyId: encrypted.providerInfo,
    CiphertextBlob: encrypted.ciphertext,
    EncryptionContext: header.context,
  })) as { KeyId: string; Plaintext: Uint8Array };
  if (output.KeyId === encrypted.providerInfo && output.Plaintext.length === header.suite.keyLength) {
    return output.Plaintext;
  }
  output.Plaintext.fill(0);
  throw new EnvelopeError("MALFORMED", "the encrypted data key is under another key, or of another length");
}

/** Whether `key`, an ARN or a bare key id, names the key with this ARN. */
function names(arn: string): (key: string) => boolean {
  return (key) => arn === key || arn.endsWith(`:key/${key}`);
}
