import { randomBytes } from "node:crypto";
import type { EncryptionContext } from "../ciphertext.ts";
import type { Body } from "./body.ts";
import { encodeContext, refuseReserved, requireContext } from "./context.ts";
import { EnvelopeError } from "./error.ts";
import { type EncryptedDataKey, type Header, type ReceivedHeader, serialiseHeader } from "./header.ts";
import type { KeyProvider, OpenedDataKey } from "./provider.ts";
import { newSigner, newVerifier, PUBLIC_KEY, type Witness } from "./signature.ts";
import {
  commits,
  DEFAULT_SUITE,
  derive,
  HEADER_IV,
  headerIsAuthentic,
  headerTag,
  IV_LENGTH,
  SIGNED_SUITE,
} from "./suite.ts";

/** What a message says of itself, all of it authentic. */
export interface MessageHeader {
  /** The key that the data key was encrypted under, or opened from: for KMS keys, the ARN. */
  KeyId: string;
  /** Every key that the data key is encrypted under. */
  EncryptedDataKeys: { Provider: string; KeyId: string }[];
  /** A signed message's has its public key, "aws-crypto-public-key". */
  EncryptionContext: EncryptionContext;
  /** Name of the algorithm suite, e.g. "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY". */
  AlgorithmSuite: string;
  /** Whether a signature at the end of the message says that all of it is its signer's. */
  Signed: boolean;
  MessageId: Uint8Array;
  /** 0 for a body that is not framed. */
  FrameLength: number;
}

/** Of a message whose header is done. */
export interface Opened {
  body: Body;
  header: MessageHeader;
  /** Has seen the header; of signed messages. */
  witness: Witness | undefined;
}

export interface NewMessage extends Opened {
  /** The serialised header, with its tag. */
  head: Uint8Array;
}

/** A header with a fresh data key and message id. The caller wipes `body.key`. */
export async function newMessage(
  keys: KeyProvider,
  options: { context: EncryptionContext; frameLength: number; signed: boolean; maxKeys: number },
): Promise<NewMessage> {
  const { frameLength, signed } = options;
  const suite = signed ? SIGNED_SUITE : DEFAULT_SUITE;
  refuseReserved(options.context);
  const signing = suite.signature && (await newSigner(suite.signature));
  const context = signing ? { ...options.context, [PUBLIC_KEY]: signing.publicKey } : options.context;
  const encodedContext = encodeContext(context);
  const messageId = randomBytes(suite.messageIdLength);
  const { plaintext, encrypted } = await keys.generate({ length: suite.keyLength, context });
  try {
    checkKeyCount(encrypted, options.maxKeys);
    const { key, commitment } = derive(suite, plaintext, messageId);
    const header: Header = {
      suite,
      messageId,
      context,
      encryptedDataKeys: encrypted,
      frameLength,
      commitment,
    };
    const serialised = serialiseHeader(header, encodedContext);
    const head = Buffer.concat([serialised, headerTag(suite, key, HEADER_IV, serialised)]);
    signing?.signer.update(head);
    return {
      head,
      body: { version: suite.version, key, messageId, frameLength },
      header: describe(header, encrypted[0] as EncryptedDataKey),
      witness: signing?.signer,
    };
  } finally {
    plaintext.fill(0);
  }
}

/** Nothing is written that would be refused where it is read. */
export function checkKeyCount(encrypted: readonly EncryptedDataKey[], limit: number): void {
  if (encrypted.length <= limit) return;
  throw new EnvelopeError(
    "LIMIT",
    `the data key is encrypted under ${encrypted.length} keys, the limit is ${limit}: raise MaxEncryptedDataKeys, here and where it is read`,
  );
}

/** What the reader asks of a message. */
export interface Demands {
  context: EncryptionContext;
  /** Whether it need not be committed to its data key. */
  uncommitted: boolean;
}

/** Checks a header, commitment first, with the data key it brings. The caller wipes `body.key`. */
export async function admitMessage(
  keys: KeyProvider,
  received: ReceivedHeader,
  demands: Demands,
): Promise<Opened> {
  const { suite, messageId, frameLength, context } = received;
  const witness = suite.signature && newVerifier(suite.signature, context[PUBLIC_KEY]);
  const { key, plaintext, encrypted } = await unlock(keys, received, demands);
  plaintext.fill(0);
  witness?.update(received.body);
  witness?.update(received.authentication);
  const body = { version: suite.version, key, messageId, frameLength };
  return { body, header: describe(received, encrypted), witness };
}

/**
 * The same header for the same body, its data key encrypted under other keys. Nothing of the body is looked at, and what is
 * signed cannot be had so: its signature is over the header too.
 *
 * In version 1 the header's IV is in the header, and a fresh one is taken. Version 2 has none to choose: both headers have
 * tags under the same key and IV, and whoever has both can compute GCM's authentication key from them.
 */
export async function rewrapHeader(
  keys: { from: KeyProvider; to: KeyProvider },
  received: ReceivedHeader,
  demands: Demands & { maxKeys: number },
): Promise<Uint8Array> {
  const { suite, context } = received;
  if (suite.signature) {
    throw new EnvelopeError("UNSUPPORTED", "the message is signed, header and all: its body cannot be kept");
  }
  const { key, plaintext } = await unlock(keys.from, received, demands);
  try {
    const encryptedDataKeys = await keys.to.encrypt(plaintext, { length: suite.keyLength, context });
    checkKeyCount(encryptedDataKeys, demands.maxKeys);
    const header = serialiseHeader({ ...received, encryptedDataKeys }, encodeContext(context));
    if (suite.version === 2) return Buffer.concat([header, headerTag(suite, key, HEADER_IV, header)]);
    const iv = randomBytes(IV_LENGTH);
    // Frames have IVs that begin with zeros.
    iv[0] = (iv[0] as number) | 1;
    return Buffer.concat([header, iv, headerTag(suite, key, iv, header)]);
  } finally {
    key.fill(0);
    plaintext.fill(0);
  }
}

/** The data key and the key that is derived from it, once the header is authentic under them. The caller wipes both. */
async function unlock(keys: KeyProvider, received: ReceivedHeader, demands: Demands) {
  const { suite, messageId, context } = received;
  if (suite.commitmentLength === 0 && !demands.uncommitted) {
    throw new EnvelopeError(
      "UNSUPPORTED",
      `a message of suite ${suite.name} is not committed to its data key: to open it, set CommitmentPolicy to ` +
        '"REQUIRE_ENCRYPT_ALLOW_DECRYPT"',
    );
  }
  requireContext(context, demands.context);
  const { plaintext, encrypted } = await openDataKey(keys, received);
  const { key, commitment } = derive(suite, plaintext, messageId);
  const refuse = (reason: string) => {
    key.fill(0);
    plaintext.fill(0);
    return new EnvelopeError("NOT_AUTHENTIC", reason);
  };
  if (!commits(commitment, received.commitment)) {
    throw refuse("the message was not made with the data key that it brings");
  }
  if (!headerIsAuthentic(suite, key, received)) throw refuse("the header of the message was changed");
  return { key, plaintext, encrypted };
}

/** The data key of a message: the first of its encrypted data keys that can be decrypted. */
export async function openDataKey(keys: KeyProvider, header: Header): Promise<OpenedDataKey> {
  const { encryptedDataKeys, suite, context } = header;
  let opened: OpenedDataKey | undefined;
  try {
    opened = await keys.decrypt(encryptedDataKeys, { length: suite.keyLength, context });
  } catch (cause) {
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new EnvelopeError("NO_DATA_KEY", `no data key of the message can be decrypted (${reason})`, {
      cause,
    });
  }
  if (opened !== undefined) return opened;
  const under = encryptedDataKeys.map(describeKey).map(({ Provider, KeyId }) => `${Provider} ${KeyId}`);
  throw new EnvelopeError(
    "NO_DATA_KEY",
    `the message has no data key under a key that was given: it has some under ${under.join(", ")}`,
  );
}

function describe(header: Header, used: EncryptedDataKey): MessageHeader {
  return {
    KeyId: describeKey(used).KeyId,
    EncryptedDataKeys: header.encryptedDataKeys.map(describeKey),
    EncryptionContext: header.context,
    AlgorithmSuite: header.suite.name,
    Signed: header.suite.signature !== undefined,
    MessageId: Uint8Array.from(header.messageId),
    FrameLength: header.frameLength,
  };
}

/** Behind the name of a raw AES key: bits of the tag (4), bytes of the IV (4), the IV. */
const RAW_AES_TAIL = Buffer.from("000000800000000c", "hex");

function describeKey({ providerId, providerInfo }: EncryptedDataKey): { Provider: string; KeyId: string } {
  const info = Buffer.from(providerInfo);
  const nameEnds = info.length - RAW_AES_TAIL.length - 12;
  const raw = nameEnds >= 0 && info.subarray(nameEnds, -12).equals(RAW_AES_TAIL);
  return { Provider: providerId, KeyId: (raw ? info.subarray(0, nameEnds) : info).toString() };
}
