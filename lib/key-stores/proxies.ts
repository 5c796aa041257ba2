import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { keyArn } from "../arn.ts";
import { type ExternalCiphertext, IV_LENGTHS, LONGEST_METADATA, TAG_LENGTH } from "../ciphertext.ts";
import type { XksConfig } from "../config.ts";
import {
  ValidationException,
  XksKeyInvalidConfigurationException,
  XksProxyInvalidConfigurationException,
  XksProxyUriEndpointInUseException,
  XksProxyUriInUseException,
  XksProxyVpcEndpointServiceInUseException,
  XksProxyVpcEndpointServiceNotFoundException,
} from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import type { CustomKeyStoreRow } from "../store.ts";
import { Channel, type Endpoint } from "./channel.ts";
import type { Backing, Candidate } from "./configuration.ts";
import { ProxyFailure } from "./failures.ts";
import type { HeldKey, Use } from "./held.ts";

/** Bytes of additional authenticated data that every proxy takes. */
const LONGEST_AAD = 8192;

type Settings = CustomKeyStoreRow["settings"];

/**
 * The external key managers behind custom key stores of type EXTERNAL_KEY_STORE, by way of their proxies: a client of
 * version 1 of AWS's "External Key Store Proxy API Specification".
 */
export class Proxies implements Backing {
  readonly #secrets: Secrets;
  readonly #channel: Channel;
  /** By store, for as long as it is reached the same way. */
  readonly #endpoints = new Map<string, { row: CustomKeyStoreRow; endpoint: Endpoint }>();

  constructor(secrets: Secrets, options: XksConfig, ca: readonly string[] | undefined, clock: () => number) {
    this.#secrets = secrets;
    this.#channel = new Channel(options, ca, clock);
  }

  async check({ settings, secret, before, others, region, ...request }: Candidate): Promise<void> {
    const host = hostOf(settings);
    refuseShared(settings, others);
    if (settings.XksProxyConnectivity === "VPC_ENDPOINT_SERVICE") {
      if (this.#channel.addressOf(host) === undefined)
        throw new XksProxyVpcEndpointServiceNotFoundException(
          `There is no VPC here: name the private address of ${host} in xks.addresses.`,
        );
      return;
    }
    const kept = before as CustomKeyStoreRow;
    const given = () =>
      secret === undefined ? this.#secretOf(kept) : Promise.resolve(Uint8Array.from(Buffer.from(secret)));
    try {
      await this.#checkHealth(endpointOf(settings, region, given), request);
    } catch (error) {
      throw error instanceof ProxyFailure ? error.as("settings") : error;
    }
  }

  async connect(row: CustomKeyStoreRow, requestId: string): Promise<string | undefined> {
    try {
      await this.#checkHealth(this.#endpoint(row), { operation: "ConnectCustomKeyStore", requestId });
      return undefined;
    } catch (error) {
      if (error instanceof ProxyFailure) return error.connection;
      throw error;
    }
  }

  async release(customKeyStoreId: string): Promise<void> {
    this.#endpoints.delete(customKeyStoreId);
  }

  close(): void {
    this.#channel.close();
  }

  /** Throws unless the external key can stand behind a KMS key. */
  async checkKey(row: CustomKeyStoreRow, xksKeyId: string, { principal, requestId }: Use): Promise<void> {
    const requestMetadata = {
      awsPrincipalArn: principal,
      kmsOperation: "CreateKey",
      kmsRequestId: requestId,
    };
    let found: Readonly<Record<string, unknown>>;
    try {
      found = await this.#channel.post(this.#endpoint(row), `/keys/${xksKeyId}/metadata`, {
        requestMetadata,
      });
      const { keySpec, keyStatus, keyUsage } = found;
      if (typeof keySpec !== "string" || typeof keyStatus !== "string" || !Array.isArray(keyUsage))
        throw new ProxyFailure("malformed", "metadata without keySpec, keyUsage or keyStatus");
    } catch (error) {
      throw error instanceof ProxyFailure ? error.as("key") : error;
    }
    const { keySpec, keyStatus } = found;
    const usage = found.keyUsage as unknown[];
    if (
      keySpec === "AES_256" &&
      keyStatus === "ENABLED" &&
      usage.includes("ENCRYPT") &&
      usage.includes("DECRYPT")
    )
      return;
    throw new XksKeyInvalidConfigurationException(
      `External key ${xksKeyId} must be an AES_256 key that is ENABLED and may ENCRYPT and DECRYPT.`,
    );
  }

  /** Encrypts under the external key. Rejects with `KMSInvalidStateException` whatever the proxy does wrong. */
  encrypt(key: HeldKey, plaintext: Uint8Array, aad: Uint8Array): Promise<ExternalCiphertext> {
    return this.#use(key, "encrypt", aad, { plaintext: base64(plaintext), ...INTEGRITY }, (answer) => {
      const metadata = answer.ciphertextMetadata === undefined ? NOTHING : bytes(answer.ciphertextMetadata);
      const [ciphertext, iv, tag, integrity] = [
        bytes(answer.ciphertext),
        bytes(answer.initializationVector),
        bytes(answer.authenticationTag),
        bytes(answer.ciphertextDataIntegrityValue),
      ];
      const parts = [aad, metadata, iv, ciphertext, tag];
      const whole =
        ciphertext.length === plaintext.length &&
        IV_LENGTHS.includes(iv.length) &&
        tag.length === TAG_LENGTH &&
        metadata.length <= LONGEST_METADATA &&
        integrityOf(parts).equals(integrity);
      if (!whole) throw new ProxyFailure("malformed", "a ciphertext whose parts do not fit");
      return { metadata, iv, tag, ciphertext };
    });
  }

  /** Decrypts likewise; what comes back is not known to be what was encrypted. */
  decrypt(
    key: HeldKey,
    { metadata, iv, tag, ciphertext }: ExternalCiphertext,
    aad: Uint8Array,
  ): Promise<Uint8Array> {
    const input = {
      ciphertext: base64(ciphertext),
      ...(metadata.length > 0 && { ciphertextMetadata: base64(metadata) }),
      initializationVector: base64(iv),
      authenticationTag: base64(tag),
    };
    return this.#use(key, "decrypt", aad, input, (answer) => {
      const plaintext = bytes(answer.plaintext);
      if (plaintext.length !== ciphertext.length)
        throw new ProxyFailure("malformed", "a plaintext of another length than its ciphertext");
      return plaintext;
    });
  }

  async #use<Result>(
    { heldBy, use, region, account, keyId, xksKeyId }: HeldKey,
    verb: "encrypt" | "decrypt",
    aad: Uint8Array,
    input: Readonly<Record<string, string>>,
    read: (answer: Readonly<Record<string, unknown>>) => Result,
  ): Promise<Result> {
    if (aad.length > LONGEST_AAD)
      throw new ValidationException(
        `The encryption context is too long for an external key store: it comes to ${aad.length} bytes of ${LONGEST_AAD}.`,
      );
    const requestMetadata = {
      awsPrincipalArn: use?.principal,
      kmsKeyArn: keyArn(region, account, keyId),
      kmsOperation: use?.operation,
      kmsRequestId: use?.requestId,
    };
    const body = {
      requestMetadata,
      additionalAuthenticatedData: base64(aad),
      encryptionAlgorithm: "AES_GCM",
      ...input,
    };
    try {
      return read(await this.#channel.post(this.#endpoint(heldBy), `/keys/${xksKeyId}/${verb}`, body));
    } catch (error) {
      throw error instanceof ProxyFailure ? error.as("use") : error;
    }
  }

  async #checkHealth(endpoint: Endpoint, request: { operation: string; requestId: string }): Promise<void> {
    const requestMetadata = { kmsRequestId: request.requestId, kmsOperation: request.operation };
    const health = await this.#channel.post(endpoint, "/health", { requestMetadata });
    const { xksProxyFleetSize, xksProxyVendor, xksProxyModel, ekmVendor, ekmFleetDetails } = health;
    const named = [xksProxyVendor, xksProxyModel, ekmVendor].every((name) => typeof name === "string");
    const fleet = Array.isArray(ekmFleetDetails) ? ekmFleetDetails : [];
    const states = fleet.map((manager: { healthStatus?: unknown } | null) => manager?.healthStatus);
    const size = Number.isSafeInteger(xksProxyFleetSize) && (xksProxyFleetSize as number) > 0;
    const fit = named && size && fleet.length >= 1 && fleet.length <= 10;
    if (!fit || !states.every((state) => ["ACTIVE", "DEGRADED", "UNAVAILABLE"].includes(state as string)))
      throw new ProxyFailure("malformed", "a health status without what belongs to it");
    if (states.every((state) => state === "UNAVAILABLE"))
      throw new ProxyFailure("unavailable", "all external key managers are unavailable");
  }

  #endpoint(row: CustomKeyStoreRow): Endpoint {
    const known = this.#endpoints.get(row.customKeyStoreId);
    if (known?.row.revision === row.revision) return known.endpoint;
    const endpoint = endpointOf(row.settings, row.region, () => this.#secretOf(row));
    this.#endpoints.set(row.customKeyStoreId, { row, endpoint });
    return endpoint;
  }

  #secretOf({ customKeyStoreId, secret }: CustomKeyStoreRow): Promise<Uint8Array> {
    return this.#secrets.open(customKeyStoreId, secret as Uint8Array);
  }
}

const NOTHING = new Uint8Array();
const INTEGRITY = { ciphertextDataIntegrityValueAlgorithm: "SHA_256" };

/** Throws when it is an address: a certificate is for a name. */
function hostOf({ XksProxyUriEndpoint: uri = "" }: Settings): string {
  const hostname = URL.canParse(uri) ? new URL(uri).hostname : "";
  if (hostname !== "" && isIP(hostname) === 0) return hostname;
  throw new XksProxyInvalidConfigurationException(
    `XksProxyUriEndpoint must name a host, as its certificate does; ${uri} does not.`,
  );
}

function endpointOf(settings: Settings, region: string, secret: () => Promise<Uint8Array>): Endpoint {
  const { XksProxyUriEndpoint = "", XksProxyUriPath = "", AccessKeyId = "" } = settings;
  return { uri: XksProxyUriEndpoint, path: XksProxyUriPath, region, accessKeyId: AccessKeyId, secret };
}

/** Each store has an address of its own, as CreateCustomKeyStore's documentation says. */
function refuseShared(settings: Settings, others: readonly CustomKeyStoreRow[]): void {
  const {
    XksProxyUriEndpoint: uri,
    XksProxyUriPath: path,
    XksProxyVpcEndpointServiceName: service,
  } = settings;
  for (const { customKeyStoreId: id, settings: other } of others) {
    if (other.XksProxyUriEndpoint === uri) {
      if (other.XksProxyUriPath === path)
        throw new XksProxyUriInUseException(`${uri}${path} is already that of custom key store ${id}.`);
      if (
        [settings, other].some(({ XksProxyConnectivity }) => XksProxyConnectivity === "VPC_ENDPOINT_SERVICE")
      )
        throw new XksProxyUriEndpointInUseException(`${uri} is already that of custom key store ${id}.`);
    }
    if (service !== undefined && other.XksProxyVpcEndpointServiceName === service)
      throw new XksProxyVpcEndpointServiceInUseException(
        `${service} is already that of custom key store ${id}.`,
      );
  }
}

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

function bytes(text: unknown): Uint8Array {
  if (typeof text === "string") {
    const decoded = Buffer.from(text, "base64");
    if (decoded.toString("base64") === text) return decoded;
  }
  throw new ProxyFailure("malformed", "a member that is not base64");
}

function integrityOf(parts: readonly Uint8Array[]): Buffer {
  const sha256 = createHash("sha256");
  for (const part of parts) sha256.update(part);
  return sha256.digest();
}
