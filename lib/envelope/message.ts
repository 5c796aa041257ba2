import { randomBytes } from "node:crypto";
import type { EncryptionContext } from "../ciphertext.ts";
import type { Caller } from "../request.ts";
import type { Body } from "./body.ts";
import { encodeContext, requireContext } from "./context.ts";
import { type DataKey, decryptDataKey, generateDataKey } from "./data-key.ts";
import { EnvelopeError } from "./error.ts";
import { type Header, type ReceivedHeader, serialiseHeader } from "./header.ts";
import { commits, DEFAULT_SUITE, derive, headerIsAuthentic, headerTag } from "./suite.ts";

/** What a message says of itself, all of it authentic. */
export interface MessageHeader {
  /** ARN of the KMS key that the data key is encrypted under. */
  KeyId: string;
  EncryptionContext: EncryptionContext;
  /** Name of the algorithm suite, e.g. "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY". */
  AlgorithmSuite: string;
  MessageId: Uint8Array;
  FrameLength: number;
}

export interface NewMessage {
  /** The serialised header, with its tag. */
  head: Uint8Array;
  body: Body;
  header: MessageHeader;
}

/** A header with a fresh data key and message id. The caller wipes `body.key`. */
export async function newMessage(
  caller: Caller,
  options: { keyId: string; context: EncryptionContext; frameLength: number },
): Promise<NewMessage> {
  const { context, frameLength } = options;
  const suite = DEFAULT_SUITE;
  const encodedContext = encodeContext(context);
  const messageId = randomBytes(suite.messageIdLength);
  const dataKey = await generateDataKey(caller, suite, options.keyId, context);
  try {
    const { key, commitment } = derive(suite, dataKey.plaintext, messageId);
    const encryptedDataKeys = [dataKey.encrypted];
    const header: Header = { suite, messageId, context, encryptedDataKeys, frameLength, commitment };
    const serialised = serialiseHeader(header, encodedContext);
    return {
      head: Buffer.concat([serialised, headerTag(key, serialised)]),
      body: { key, messageId, frameLength },
      header: describe(header, dataKey),
    };
  } finally {
    dataKey.plaintext.fill(0);
  }
}

/** Checks a header, commitment first, with the data key it brings. The caller wipes `body.key`. */
export async function admitMessage(
  caller: Caller,
  received: ReceivedHeader,
  options: { keys: string[] | undefined; context: EncryptionContext },
): Promise<{ body: Body; header: MessageHeader }> {
  const { suite, messageId, frameLength } = received;
  requireContext(received.context, options.context);
  const dataKey = await decryptDataKey(caller, received, options.keys);
  try {
    const { key, commitment } = derive(suite, dataKey.plaintext, messageId);
    if (!commits(commitment, received.commitment)) {
      key.fill(0);
      throw new EnvelopeError("NOT_AUTHENTIC", "the message was not made with the data key that it brings");
    }
    if (!headerIsAuthentic(key, received.body, received.tag)) {
      key.fill(0);
      throw new EnvelopeError("NOT_AUTHENTIC", "the header of the message was changed");
    }
    return { body: { key, messageId, frameLength }, header: describe(received, dataKey) };
  } finally {
    dataKey.plaintext.fill(0);
  }
}

function describe(header: Header, dataKey: DataKey): MessageHeader {
  return {
    KeyId: dataKey.encrypted.providerInfo,
    EncryptionContext: header.context,
    AlgorithmSuite: header.suite.name,
    MessageId: Uint8Array.from(header.messageId),
    FrameLength: header.frameLength,
  };
}
