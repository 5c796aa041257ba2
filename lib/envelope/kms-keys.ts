import type { Caller } from "../request.ts";
import { EnvelopeError } from "./error.ts";
import type { EncryptedDataKey } from "./header.ts";
import type { DataKey, DataKeyRequest, KeyProvider, OpenedDataKey } from "./provider.ts";

/** The key provider id of KMS keyrings in every AWS Encryption SDK. */
export const KMS_PROVIDER = "aws-kms";

interface Context {
  EncryptionContext?: Record<string, string>;
}

/**
 * What is asked of a KMS: `Kms` is one, in process, and so is `new KMS({ region, endpoint })` of `@aws-sdk/client-kms`, for
 * AWS and for a Keystead server alike.
 */
export interface KmsClient {
  /** Where it is known, multi-Region keys are asked for by their ARNs there, whichever Region's are named. */
  readonly region?: string | undefined;
  generateDataKey(input: Context & { KeyId: string; NumberOfBytes: number }): Promise<{
    KeyId?: string | undefined;
    Plaintext?: Uint8Array | undefined;
    CiphertextBlob?: Uint8Array | undefined;
  }>;
  encrypt(
    input: Context & { KeyId: string; Plaintext: Uint8Array },
  ): Promise<{ KeyId?: string | undefined; CiphertextBlob?: Uint8Array | undefined }>;
  decrypt(
    input: Context & { KeyId: string; CiphertextBlob: Uint8Array },
  ): Promise<{ KeyId?: string | undefined; Plaintext?: Uint8Array | undefined }>;
}

/** A caller's own KMS. Keys that are named by ARNs of other Regions are asked for there, where those are served. */
export function clientOf(caller: Caller): KmsClient {
  const ask = (operation: string) => (input: { KeyId: string }) =>
    callerFor(caller, input.KeyId).request(operation, input);
  return {
    region: caller.region,
    generateDataKey: ask("GenerateDataKey"),
    encrypt: ask("Encrypt"),
    decrypt: ask("Decrypt"),
  };
}

function callerFor(caller: Caller, keyId: string): Caller {
  const region = /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1];
  if (region === undefined || region === caller.region) return caller;
  try {
    return caller.inRegion?.(region) ?? caller;
  } catch {
    // Whoever is asked says so, as AWS would.
    return caller;
  }
}

/**
 * KMS keys: the first makes the data key, which is encrypted under the others too. Decrypts what is under one of `keyIds`
 * (ARNs or key ids); without any, what is under whatever key the client may use.
 */
export class KmsKeys implements KeyProvider {
  readonly #client: KmsClient;
  readonly #keyIds: readonly string[] | undefined;

  constructor(client: KmsClient, keyIds?: readonly string[]) {
    if (typeof client?.generateDataKey !== "function" || typeof client.decrypt !== "function") {
      throw new TypeError(
        "the client has no generateDataKey, encrypt and decrypt: give a Kms, or new KMS() of @aws-sdk/client-kms",
      );
    }
    this.#client = client;
    this.#keyIds = keyIds;
  }

  async generate({ length, context }: DataKeyRequest): Promise<DataKey> {
    const [KeyId, ...others] = this.#named();
    const request = { KeyId, NumberOfBytes: length, EncryptionContext: context };
    const output = await this.#client.generateDataKey(request);
    const plaintext = output.Plaintext ?? new Uint8Array(0);
    try {
      if (plaintext.length !== length)
        throw new TypeError(`GenerateDataKey gave no data key of ${length} bytes`);
      const rest = await this.#under(others, plaintext, context);
      return { plaintext, encrypted: [entry(output), ...rest] };
    } catch (error) {
      plaintext.fill(0);
      throw error;
    }
  }

  encrypt(dataKey: Uint8Array, { context }: DataKeyRequest): Promise<readonly EncryptedDataKey[]> {
    return this.#under(this.#named(), dataKey, context);
  }

  async decrypt(
    encrypted: readonly EncryptedDataKey[],
    { length, context }: DataKeyRequest,
  ): Promise<OpenedDataKey | undefined> {
    let failure: { error: unknown } | undefined;
    for (const candidate of encrypted) {
      const arn = Buffer.from(candidate.providerInfo).toString();
      const named = this.#keyIds ? this.#keyIds.find(names(arn)) : arn;
      if (candidate.providerId !== KMS_PROVIDER || named === undefined) continue;
      const KeyId = relatedIn(this.#client.region, named);
      try {
        const output = await this.#client.decrypt({
          KeyId,
          CiphertextBlob: candidate.ciphertext,
          EncryptionContext: context,
        });
        const plaintext = output.Plaintext ?? new Uint8Array(0);
        if (names(output.KeyId ?? "")(KeyId) && plaintext.length === length)
          return { plaintext, encrypted: candidate };
        plaintext.fill(0);
        const what = "the encrypted data key is under another key, or of another length";
        failure = { error: new EnvelopeError("MALFORMED", what) };
      } catch (error) {
        failure = { error };
      }
    }
    if (failure) throw failure.error;
    return undefined;
  }

  #named(): readonly [string, ...string[]] {
    const [first, ...others] = this.#keyIds ?? [];
    if (first === undefined) throw new TypeError("KeyId: there is no key to encrypt the data key under");
    return [first, ...others];
  }

  #under(keyIds: readonly string[], Plaintext: Uint8Array, EncryptionContext: Record<string, string>) {
    const one = async (KeyId: string) =>
      entry(await this.#client.encrypt({ KeyId, Plaintext, EncryptionContext }));
    return Promise.all(keyIds.map(one));
  }
}

function entry(output: {
  KeyId?: string | undefined;
  CiphertextBlob?: Uint8Array | undefined;
}): EncryptedDataKey {
  const { KeyId, CiphertextBlob } = output;
  if (KeyId === undefined || CiphertextBlob === undefined) {
    throw new TypeError("the client's answer has no KeyId, or no CiphertextBlob");
  }
  return { providerId: KMS_PROVIDER, providerInfo: Buffer.from(KeyId), ciphertext: CiphertextBlob };
}

/** Whether `key`, an ARN or a bare key id, names the key with this ARN, or a replica of it in another Region. */
function names(arn: string): (key: string) => boolean {
  return (key) =>
    arn === key || arn.endsWith(`:key/${key}`) || (MULTI_REGION.test(arn) && global(arn) === global(key));
}

const MULTI_REGION = /^arn:[^:]+:kms:[^:]*:[^:]*:key\/mrk-/;
const global = (arn: string) => arn.split(":").toSpliced(3, 1).join(":");

/** The ARN of a multi-Region key as it is in this Region; other ARNs, and what is none, as they are. */
const relatedIn = (region: string | undefined, arn: string) =>
  region !== undefined && MULTI_REGION.test(arn) ? arn.split(":").toSpliced(3, 1, region).join(":") : arn;
