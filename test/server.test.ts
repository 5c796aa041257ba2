import * as sdk from "@aws-sdk/client-kms";
import { KMSClient } from "@aws-sdk/client-kms";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import type { Server } from "../lib/server.ts";
import { type AuditRecord, bytes, openTestDeployment, REGION, text } from "./deployment.ts";

let kms: Kms;
let server: Server;
let credentials: { accessKeyId: string; secretAccessKey: string };
let events: (count: number) => Promise<AuditRecord[]>;

beforeAll(async () => {
  ({ kms, events } = await openTestDeployment({ clock: Date.now }));
  const { AccessKeyId, SecretAccessKey } = await kms.createAccessKey();
  credentials = { accessKeyId: AccessKeyId as string, secretAccessKey: SecretAccessKey as string };
  server = await kms.listen({ port: 0, metricsPort: 0 });
});

const newClient = (options: object = {}) =>
  new KMSClient({ endpoint: server.url, region: REGION, credentials, maxAttempts: 1, ...options });

describe("the AWS SDK", () => {
  test.each<[string, () => KMSClient]>([
    ["over HTTP", () => newClient()],
    ["in process", () => newClient({ requestHandler: kms.requestHandler() })],
  ])("encrypts and decrypts %s", async (_, make) => {
    const client = make();
    const { KeyMetadata } = await client.send(new sdk.CreateKeyCommand({ Description: "served" }));
    expect(KeyMetadata?.CreationDate).toBeInstanceOf(Date);
    const KeyId = KeyMetadata?.KeyId as string;
    const { CiphertextBlob, $metadata } = await client.send(
      new sdk.EncryptCommand({ KeyId, Plaintext: bytes("a secret"), EncryptionContext: { a: "b" } }),
    );
    const answer = await client.send(
      new sdk.DecryptCommand({ CiphertextBlob, EncryptionContext: { a: "b" } }),
    );
    expect(text(answer.Plaintext)).toBe("a secret");
    const [encrypted] = await events(2);
    expect(encrypted).toMatchObject({ eventName: "Encrypt", requestID: $metadata.requestId });
  });
});
