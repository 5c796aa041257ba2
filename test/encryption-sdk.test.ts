import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import {
  buildAwsKmsMrkAwareDiscoveryMultiKeyringNode,
  buildAwsKmsMrkAwareStrictMultiKeyringNode,
  buildClient,
  CommitmentPolicy,
  getClient,
  KmsKeyringNode,
} from "@aws-crypto/client-node";
import { KMS } from "@aws-sdk/client-kms";
import { beforeAll, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { ACCOUNT, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";

/** The AWS Encryption SDK, with its KMS keyrings pointed at the server over HTTP. */
const { encrypt, decrypt, encryptStream, decryptStream } = buildClient(
  CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
);
const ELSEWHERE = "us-west-2";
const plaintext = randomBytes(100_000);
const encryptionContext = { tenant: "ü", purpose: "interoperation" };

let kms: Kms;
let url: string;
let clientProvider: ReturnType<typeof getClient<KMS, object>>;
beforeAll(async () => {
  ({ kms } = await openTestDeployment({ clock: Date.now, regions: [ELSEWHERE] }));
  const { AccessKeyId = "", SecretAccessKey = "" } = await kms.createAccessKey();
  ({ url } = await kms.listen());
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey };
  clientProvider = getClient(KMS, { endpoint: url, credentials, maxAttempts: 1 });
});

const keyring = (...[generatorKeyId, ...keyIds]: string[]) =>
  new KmsKeyringNode({ clientProvider, generatorKeyId: generatorKeyId as string, keyIds });
const discovery = () => new KmsKeyringNode({ clientProvider, discovery: true });

test("encrypts and decrypts under a key", async () => {
  const { Arn } = await newKey(kms);
  const { result } = await encrypt(keyring(Arn), plaintext, { encryptionContext });
  for (const opener of [keyring(Arn), discovery()]) {
    const opened = await decrypt(opener, result);
    expect(opened.plaintext.equals(plaintext)).toBe(true);
    expect(opened.messageHeader.encryptionContext).toMatchObject(encryptionContext);
  }
});

test("names its key by an alias", async () => {
  const { KeyId } = await newKey(kms);
  await kms.createAlias({ AliasName: "alias/envelopes", TargetKeyId: KeyId });
  const alias = `arn:aws:kms:${REGION}:${ACCOUNT}:alias/envelopes`;
  const { result } = await encrypt(keyring(alias), plaintext, { encryptionContext });
  expect((await decrypt(discovery(), result)).plaintext.equals(plaintext)).toBe(true);
});

test("opens under any one of several keys", async () => {
  const [one, two] = [await newKey(kms), await newKey(kms)];
  const { result } = await encrypt(keyring(one.Arn, two.Arn), plaintext, { encryptionContext });
  await kms.disableKey({ KeyId: one.KeyId });
  expect((await decrypt(discovery(), result)).plaintext.equals(plaintext)).toBe(true);
  await kms.scheduleKeyDeletion({ KeyId: two.KeyId });
  await expect(decrypt(discovery(), result)).rejects.toThrow(/is disabled|pending deletion/);
});

test("opens what kms.envelope has sealed, and the other way round", async () => {
  const { KeyId, Arn } = await newKey(kms);
  const EncryptionContext = encryptionContext;
  for (const Signed of [false, true]) {
    const message = await kms.envelope.encrypt(plaintext, { KeyId, EncryptionContext, Signed });
    const opened = await decrypt(keyring(Arn), Buffer.from(message));
    expect(opened.plaintext.equals(plaintext)).toBe(true);
  }
  const { result } = await encrypt(keyring(Arn), plaintext, { encryptionContext });
  const opened = await kms.envelope.decrypt(result, { EncryptionContext });
  expect(plaintext.equals(opened)).toBe(true);
  expect(await refusal(kms.envelope.decrypt(result, { EncryptionContext: { tenant: "other" } }))).toMatch(
    /context/,
  );
});

test("streams there and back", async () => {
  const { KeyId, Arn } = await newKey(kms);
  const sealing = encryptStream(keyring(Arn), { encryptionContext, frameLength: 4096 });
  const [message] = await Promise.all([buffer(sealing), pipeline(Readable.from([plaintext]), sealing)]);
  const opened = kms.envelope.decrypt(Readable.from([message]), { EncryptionContext: encryptionContext });
  expect((await buffer(opened)).equals(plaintext)).toBe(true);
  const sealed = kms.envelope.encrypt(Readable.from([plaintext]), { KeyId });
  const opening = decryptStream(keyring(Arn));
  const [back] = await Promise.all([buffer(opening), pipeline(sealed, opening)]);
  expect(back.equals(plaintext)).toBe(true);
});

test("opens elsewhere what a multi-Region key has sealed here", async () => {
  const { KeyId, Arn } = await newKey(kms, { MultiRegion: true });
  await kms.replicateKey({ KeyId, ReplicaRegion: ELSEWHERE });
  const here = buildAwsKmsMrkAwareStrictMultiKeyringNode({ generatorKeyId: Arn, clientProvider });
  const { result } = await encrypt(here, plaintext, { encryptionContext });
  const replica = Arn.replace(REGION, ELSEWHERE);
  const there = buildAwsKmsMrkAwareStrictMultiKeyringNode({ generatorKeyId: replica, clientProvider });
  const anywhere = buildAwsKmsMrkAwareDiscoveryMultiKeyringNode({ regions: [ELSEWHERE], clientProvider });
  await kms.disableKey({ KeyId });
  for (const opener of [there, anywhere])
    expect((await decrypt(opener, result)).plaintext.equals(plaintext)).toBe(true);
  await expect(decrypt(here, result)).rejects.toThrow(/is disabled/);
});

test("may by a grant's token what it may not without", async () => {
  const { KeyId, Arn } = await newKey(kms);
  const role = `arn:aws:iam::${ACCOUNT}:role/app`;
  const { AccessKeyId = "", SecretAccessKey = "" } = await kms.createAccessKey({ Principal: role });
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey };
  const app = { clientProvider: getClient(KMS, { endpoint: url, credentials }), generatorKeyId: Arn };
  await expect(encrypt(new KmsKeyringNode(app), plaintext)).rejects.toThrow(/is not authorized to perform/);
  const { GrantToken = "" } = await kms.createGrant({
    KeyId,
    GranteePrincipal: role,
    Operations: ["GenerateDataKey", "Decrypt"],
  });
  const granted = new KmsKeyringNode({ ...app, grantTokens: [GrantToken] });
  const { result } = await encrypt(granted, plaintext);
  expect((await decrypt(granted, result)).plaintext.equals(plaintext)).toBe(true);
});
