import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operations as table } from "../lib/operations.ts";
import { bytes } from "./deployment.ts";
import {
  type Ended,
  type ErrorName,
  forImport,
  imported,
  keyOf,
  type Lab,
  MESSAGE,
  newAlias,
  newKey,
  type Operation,
  openLab,
  UUID,
  type Way,
  ways,
  withStore,
} from "./sdk-lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
});
afterAll(() => lab?.close());

/** A key of an external key store, both made when first asked for. */
const externals = new WeakMap<Way, Promise<{ CustomKeyStoreId: string; KeyId: string }>>();
function external(way: Way) {
  const make = async () => {
    const { aws, proxy } = way;
    const { CustomKeyStoreId = "" } = await aws.createCustomKeyStore(way.external);
    await aws.connectCustomKeyStore({ CustomKeyStoreId });
    proxy.addKey("key-1");
    const { KeyId } = await newKey(aws, {
      Origin: "EXTERNAL_KEY_STORE",
      CustomKeyStoreId,
      XksKeyId: "key-1",
    });
    return { CustomKeyStoreId, KeyId };
  };
  const made = externals.get(way) ?? make();
  externals.set(way, made);
  return made;
}
async function externalKey(way: Way, XksKeyId: string) {
  const { CustomKeyStoreId } = await external(way);
  return way.aws.createKey({ Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId });
}
async function externalStore(way: Way, change: Partial<sdk.CreateCustomKeyStoreRequest>) {
  const other = { CustomKeyStoreName: "other", XksProxyUriPath: "/tenant-2/kms/xks/v1" };
  return way.aws.createCustomKeyStore({ ...way.external, ...other, ...change });
}
async function misbehaving(way: Way, misbehaviour: Way["proxy"]["misbehaviour"]) {
  way.proxy.misbehaviour = misbehaviour;
  try {
    return await externalStore(way, {});
  } finally {
    way.proxy.misbehaviour = {};
  }
}

const vpc = {
  XksProxyConnectivity: "VPC_ENDPOINT_SERVICE",
  XksProxyVpcEndpointServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0",
} as const;
const DAY = 86_400_000;
const exported = { ...sdk };

/** One row a modelled error: what a client must do to meet it, or why none can. */
const errors: Record<ErrorName, string | ((way: Way) => Promise<unknown>)> = {
  async AlreadyExistsException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.createAlias({ AliasName: await newAlias(aws, KeyId), TargetKeyId: KeyId });
  },
  async CloudHsmClusterInUseException(way) {
    await withStore(way, async () => {
      await way.aws
        .createCustomKeyStore({ ...way.cluster(), CustomKeyStoreName: "second" })
        .catch((error) => {
          expect(error).toBeInstanceOf(sdk.CloudHsmClusterInUseException);
        });
    });
    throw way.ended.findLast(({ error }) => error)?.error;
  },
  CloudHsmClusterInvalidConfigurationException:
    "a cluster that cannot be logged in to: test/custom-key-stores.test.ts",
  CloudHsmClusterNotActiveException: ({ aws, cluster }) => aws.createCustomKeyStore(cluster("absent")),
  CloudHsmClusterNotFoundException: ({ aws, cluster }) =>
    aws.createCustomKeyStore({ ...cluster(), CloudHsmClusterId: "cluster-222222222222" }),
  async CloudHsmClusterNotRelatedException({ aws, cluster }) {
    const { CustomKeyStoreId } = await aws.createCustomKeyStore(cluster("keys"));
    await aws.connectCustomKeyStore({ CustomKeyStoreId });
    await newKey(aws, { Origin: "AWS_CLOUDHSM", CustomKeyStoreId });
    await aws.disconnectCustomKeyStore({ CustomKeyStoreId });
    return aws.updateCustomKeyStore({
      CustomKeyStoreId,
      CloudHsmClusterId: cluster("other").CloudHsmClusterId,
    });
  },
  ConflictException: "a change that others overtake again and again: test/request.test.ts",
  CustomKeyStoreHasCMKsException: async (way) =>
    way.aws.deleteCustomKeyStore({ CustomKeyStoreId: (await external(way)).CustomKeyStoreId }),
  async CustomKeyStoreInvalidStateException(way) {
    const { CustomKeyStoreId } = await external(way);
    return way.aws.updateCustomKeyStore({ CustomKeyStoreId, ...vpc, XksProxyUriPath: "/x/kms/xks/v1" });
  },
  async CustomKeyStoreNameInUseException(way) {
    await external(way);
    return way.aws.createCustomKeyStore(way.external);
  },
  CustomKeyStoreNotFoundException: ({ aws }) =>
    aws.connectCustomKeyStore({ CustomKeyStoreId: "cks-1234567890abcdef0" }),
  DependencyTimeoutException: "a token or a proxy that does not answer: test/request.test.ts",
  async DisabledException({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.disableKey({ KeyId });
    return aws.generateDataKey({ KeyId, KeySpec: "AES_256" });
  },
  async DryRunOperationException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.encrypt({ KeyId, Plaintext: MESSAGE, DryRun: true });
  },
  async ExpiredImportTokenException({ aws, later }) {
    const { KeyId } = await newKey(aws, { Origin: "EXTERNAL" });
    const input = await forImport(aws, KeyId, randomBytes(32));
    return later(DAY + 1000, () => aws.importKeyMaterial(input));
  },
  async IncorrectKeyException({ aws }) {
    const [one, two] = [await newKey(aws), await newKey(aws)];
    const { CiphertextBlob } = await aws.encrypt({ KeyId: one.KeyId, Plaintext: MESSAGE });
    return aws.decrypt({ CiphertextBlob, KeyId: two.KeyId });
  },
  async IncorrectKeyMaterialException({ aws }) {
    const { KeyId } = await imported(aws);
    await aws.deleteImportedKeyMaterial({ KeyId });
    return aws.importKeyMaterial(await forImport(aws, KeyId, randomBytes(32)));
  },
  IncorrectTrustAnchorException: ({ aws, cluster }) =>
    aws.createCustomKeyStore({ ...cluster(), TrustAnchorCertificate: "not a certificate" }),
  async InvalidAliasNameException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.createAlias({ AliasName: "alias/aws/mine", TargetKeyId: KeyId });
  },
  InvalidArnException: ({ aws }) => aws.listRetirableGrants({ RetiringPrincipal: "arn:aws:iam::1:role/app" }),
  async InvalidCiphertextException({ aws }) {
    const { KeyId } = await newKey(aws);
    const { CiphertextBlob } = await aws.encrypt({
      KeyId,
      Plaintext: MESSAGE,
      EncryptionContext: { a: "bc" },
    });
    return aws.decrypt({ CiphertextBlob, EncryptionContext: { ab: "c" } });
  },
  async InvalidGrantIdException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.revokeGrant({ KeyId, GrantId: "not an id" });
  },
  async InvalidGrantTokenException({ aws }) {
    return aws.retireGrant({ GrantToken: "forged" });
  },
  async InvalidImportTokenException({ aws }) {
    const [one, two] = [await newKey(aws, { Origin: "EXTERNAL" }), await newKey(aws, { Origin: "EXTERNAL" })];
    return aws.importKeyMaterial({ ...(await forImport(aws, one.KeyId, randomBytes(32))), KeyId: two.KeyId });
  },
  async InvalidKeyUsageException({ aws }) {
    const { KeyId } = await keyOf(aws, "ECC_NIST_P256", "SIGN_VERIFY");
    return aws.encrypt({ KeyId, Plaintext: MESSAGE });
  },
  InvalidMarkerException: ({ aws }) => aws.listKeys({ Marker: "forged" }),
  KMSInternalException:
    "a fault of the service's own, which no client can bring about: test/kms-damage.test.ts",
  async KMSInvalidMacException({ aws }) {
    const { KeyId } = await keyOf(aws, "HMAC_256", "GENERATE_VERIFY_MAC");
    return aws.verifyMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256", Mac: new Uint8Array(32) });
  },
  async KMSInvalidSignatureException({ aws }) {
    const { KeyId } = await keyOf(aws, "ECC_NIST_P256", "SIGN_VERIFY");
    const signed = { KeyId, Message: MESSAGE, SigningAlgorithm: "ECDSA_SHA_256" } as const;
    const { Signature } = await aws.sign(signed);
    return aws.verify({ ...signed, Message: bytes("another"), Signature });
  },
  async KMSInvalidStateException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.cancelKeyDeletion({ KeyId });
  },
  KeyUnavailableException: "a token that is out of order: test/request.test.ts",
  async LimitExceededException({ aws }) {
    const { KeyId } = await newKey(aws);
    for (let i = 0; i < 50; i++) await newAlias(aws, KeyId);
    return newAlias(aws, KeyId);
  },
  async MalformedPolicyDocumentException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.putKeyPolicy({ KeyId, Policy: '{"Statement":7}' });
  },
  NotFoundException: ({ aws }) => aws.describeKey({ KeyId: randomUUID() }),
  async TagException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.tagResource({ KeyId, Tags: [{ TagKey: "aws:mine", TagValue: "" }] });
  },
  async UnsupportedOperationException({ aws }) {
    const { KeyId } = await newKey(aws);
    return aws.getPublicKey({ KeyId });
  },
  XksKeyAlreadyInUseException: (way) => externalKey(way, "key-1"),
  async XksKeyInvalidConfigurationException(way) {
    way.proxy.addKey("disabled", { keyStatus: "DISABLED" });
    return externalKey(way, "disabled");
  },
  XksKeyNotFoundException: (way) => externalKey(way, "none"),
  XksProxyIncorrectAuthenticationCredentialException: (way) =>
    externalStore(way, {
      XksProxyAuthenticationCredential: { AccessKeyId: "A".repeat(20), RawSecretAccessKey: "b".repeat(43) },
    }),
  XksProxyInvalidConfigurationException: (way) => externalStore(way, {}),
  XksProxyInvalidResponseException: (way) => misbehaving(way, { answer: { status: 200, body: "[]" } }),
  async XksProxyUriEndpointInUseException(way) {
    await external(way);
    return externalStore(way, vpc);
  },
  async XksProxyUriInUseException(way) {
    await external(way);
    return externalStore(way, { XksProxyUriPath: way.external.XksProxyUriPath });
  },
  XksProxyUriUnreachableException: (way) => misbehaving(way, { hangUp: true }),
  XksProxyVpcEndpointServiceInUseException: "two stores of one endpoint service: test/xks.test.ts",
  XksProxyVpcEndpointServiceInvalidConfigurationException:
    "there is no VPC here that could be set up wrongly",
  XksProxyVpcEndpointServiceNotFoundException: (way) =>
    externalStore(way, { ...vpc, XksProxyUriEndpoint: "https://nowhere.example.com" }),
};

describe.each(ways)("%s: the AWS SDK %s", (reached) => {
  const provoked = Object.entries(errors).filter(
    (row): row is [ErrorName, (way: Way) => Promise<unknown>] => typeof row[1] !== "string",
  );
  test.each(provoked)("%s", async (error, provoke) => {
    const way = lab.ways[reached];
    const refused: unknown = await provoke(way).then(
      () => expect.fail("was not refused"),
      (reason) => reason,
    );
    expect(refused).toBeInstanceOf(exported[error]);
    expect(refused).toBeInstanceOf(sdk.KMSServiceException);
    const { name, message, $fault, $metadata } = refused as sdk.KMSServiceException;
    expect([name, $fault]).toEqual([error, "client"]);
    expect($metadata).toMatchObject({
      httpStatusCode: 400,
      requestId: expect.stringMatching(UUID),
      // The SDK takes this one for throttling, by its name; no other is tried again.
      attempts: error === "LimitExceededException" ? 3 : 1,
    });
    expect(typeof message).toBe("string");
    const silent = /^(InvalidCiphertext|KMSInvalidMac|KMSInvalidSignature)Exception$/;
    if (!silent.test(error)) expect(message).toMatch(/\S{2}/);
    const { command } = way.ended.findLast((ended) => ended.error === refused) as Ended;
    expect(table[command as Operation].errors).toContain(error);
  });
});

test.each(Object.entries(errors).filter((row): row is [ErrorName, string] => typeof row[1] === "string"))(
  "%s is left out: %s",
  (error, reason) => {
    const [file] = /test\/\S+/.exec(reason) ?? [];
    if (file) expect(readFileSync(new URL(`../${file}`, import.meta.url), "utf8")).toContain(error);
    else expect(reason).toBe("there is no VPC here that could be set up wrongly");
  },
);
