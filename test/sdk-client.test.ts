import { randomUUID } from "node:crypto";
import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCOUNT, bytes, refusal, text } from "./deployment.ts";
import { type Lab, NEWER, newAlias, newGrant, newKey, openLab, stateOf, ways } from "./sdk-lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
});
afterAll(() => lab?.close());

type Paginator = Extract<keyof typeof sdk, `paginate${string}`>;
type Pages = AsyncIterable<object>;
interface Listing {
  /** Makes three, and says by which names they are listed. */
  make(aws: sdk.KMS): Promise<{ names: (string | undefined)[]; pages(pageSize: number): Pages }>;
  /** The names on a page. */
  names(page: object): (string | undefined)[];
}
const listing = <Page extends object>(
  names: (page: Page) => (string | undefined)[],
  make: (
    aws: sdk.KMS,
  ) => Promise<[string[], (config: { client: sdk.KMSClient; pageSize: number }) => AsyncIterable<Page>]>,
): Listing => ({
  names: (page) => names(page as Page),
  async make(aws) {
    const [made, paginate] = await make(aws);
    return { names: made, pages: (pageSize) => paginate({ client: aws, pageSize }) };
  },
});
const three = async <T>(make: (i: number) => Promise<T>): Promise<T[]> => [
  await make(0),
  await make(1),
  await make(2),
];

/** One row a paginator of the SDK's: a missing one does not compile. */
const paginators: Record<Paginator, Listing> = {
  paginateDescribeCustomKeyStores: listing(
    ({ CustomKeyStores = [] }: sdk.DescribeCustomKeyStoresResponse) =>
      CustomKeyStores.map((store) => store.CustomKeyStoreName),
    async (aws) => {
      const { cluster } = aws === lab.ways.http.aws ? lab.ways.http : lab.ways.process;
      const made = ["user", "keys", "other"].map((name) => cluster(name));
      for (const store of made) await aws.createCustomKeyStore(store);
      return [
        made.map((store) => store.CustomKeyStoreName as string),
        (config) => sdk.paginateDescribeCustomKeyStores(config, {}),
      ];
    },
  ),
  paginateListAliases: listing(
    ({ Aliases = [] }: sdk.ListAliasesResponse) => Aliases.map((alias) => alias.AliasName),
    async (aws) => {
      const { KeyId } = await newKey(aws);
      const made = await three(() => newAlias(aws, KeyId));
      return [made, (config) => sdk.paginateListAliases(config, { KeyId })];
    },
  ),
  paginateListGrants: listing(
    ({ Grants = [] }: sdk.ListGrantsResponse) => Grants.map((grant) => grant.GrantId),
    async (aws) => {
      const { KeyId } = await newKey(aws);
      const made = await three(async () => (await newGrant(aws, KeyId)).GrantId);
      return [made, (config) => sdk.paginateListGrants(config, { KeyId })];
    },
  ),
  paginateListKeyPolicies: listing(
    ({ PolicyNames = [] }: sdk.ListKeyPoliciesResponse) => PolicyNames,
    async (aws) => {
      const { KeyId } = await newKey(aws);
      return [["default"], (config) => sdk.paginateListKeyPolicies(config, { KeyId })];
    },
  ),
  paginateListKeyRotations: listing(
    ({ Rotations = [] }: sdk.ListKeyRotationsResponse) => Rotations.map((rotation) => rotation.KeyMaterialId),
    async (aws) => {
      const { KeyId } = await newKey(aws);
      const made = await three(async () => {
        await aws.rotateKeyOnDemand({ KeyId });
        return (await aws.describeKey({ KeyId })).KeyMetadata?.CurrentKeyMaterialId as string;
      });
      return [made, (config) => sdk.paginateListKeyRotations(config, { KeyId })];
    },
  ),
  paginateListKeys: listing(
    ({ Keys = [] }: sdk.ListKeysResponse) => Keys.map((key) => key.KeyId),
    async (aws) => {
      const made = await three(async () => (await newKey(aws)).KeyId);
      return [made, (config) => sdk.paginateListKeys(config, {})];
    },
  ),
  paginateListResourceTags: listing(
    ({ Tags = [] }: sdk.ListResourceTagsResponse) => Tags.map((tag) => tag.TagKey),
    async (aws) => {
      const made = ["a", "b", "c"];
      const { KeyId } = await newKey(aws, { Tags: made.map((TagKey) => ({ TagKey, TagValue: "" })) });
      return [made, (config) => sdk.paginateListResourceTags(config, { KeyId })];
    },
  ),
  paginateListRetirableGrants: listing(
    ({ Grants = [] }: sdk.ListGrantsResponse) => Grants.map((grant) => grant.GrantId),
    async (aws) => {
      const { KeyId } = await newKey(aws);
      const RetiringPrincipal = `arn:aws:iam::${ACCOUNT}:role/${randomUUID()}`;
      const made = await three(async () => (await newGrant(aws, KeyId, { RetiringPrincipal })).GrantId);
      return [made, (config) => sdk.paginateListRetirableGrants(config, { RetiringPrincipal })];
    },
  ),
};

describe.each(ways)("%s: the AWS SDK %s", (name) => {
  test.each(Object.entries(paginators))("%s", async (_, { make, names }) => {
    const made = await make(lab.ways[name].aws);
    for (const size of [1, 2, 50]) {
      const pages: (string | undefined)[][] = [];
      for await (const page of made.pages(size)) pages.push(names(page));
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(size);
      expect(pages.at(-1)?.length).toBeLessThanOrEqual(size);
      const all = pages.flat();
      expect(all).toEqual(expect.arrayContaining(made.names));
      expect(new Set(all).size).toBe(all.length);
    }
  });

  test("reads at once what it has just written, as Terraform does", async () => {
    const { aws } = lab.ways[name];
    for (let i = 0; i < 10; i++) {
      const Tags = [{ TagKey: "round", TagValue: String(i) }];
      const { KeyId } = await newKey(aws, { Description: `round ${i}`, Tags });
      expect((await aws.describeKey({ KeyId })).KeyMetadata?.Description).toBe(`round ${i}`);
      expect((await aws.listResourceTags({ KeyId })).Tags).toEqual(Tags);
      expect(await aws.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: false });

      const { Policy = "" } = await aws.getKeyPolicy({ KeyId, PolicyName: "default" });
      const changed = { ...JSON.parse(Policy), Id: `policy ${i}` };
      await aws.putKeyPolicy({ KeyId, PolicyName: "default", Policy: JSON.stringify(changed) });
      expect(JSON.parse((await aws.getKeyPolicy({ KeyId })).Policy as string)).toEqual(changed);

      await aws.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 + i });
      const status = await aws.getKeyRotationStatus({ KeyId });
      expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 90 + i });

      const AliasName = await newAlias(aws, KeyId);
      expect((await aws.describeKey({ KeyId: AliasName })).KeyMetadata?.KeyId).toBe(KeyId);
      expect((await aws.listAliases({ KeyId })).Aliases).toMatchObject([{ AliasName, TargetKeyId: KeyId }]);

      await aws.tagResource({ KeyId, Tags: [{ TagKey: "round", TagValue: "over" }] });
      await aws.updateKeyDescription({ KeyId, Description: "" });
      await aws.disableKey({ KeyId });
      expect((await aws.listResourceTags({ KeyId })).Tags).toEqual([{ TagKey: "round", TagValue: "over" }]);
      expect((await aws.describeKey({ KeyId })).KeyMetadata).toMatchObject({
        Description: "",
        KeyState: "Disabled",
      });

      await aws.deleteAlias({ AliasName });
      await aws.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
      expect(await refusal(aws.describeKey({ KeyId: AliasName }))).toMatch(/^NotFoundException: /);
      expect(await stateOf(aws, KeyId)).toBe("PendingDeletion");
    }
  });

  test("reads what its other clients have written at the same moment", async () => {
    const { aws } = lab.ways[name];
    const other = lab.ways[name === "http" ? "process" : "http"].aws;
    const { KeyId } = await newKey(aws);
    const AliasName = await newAlias(aws, KeyId);
    const { CiphertextBlob } = await other.encrypt({ KeyId: AliasName, Plaintext: bytes("for the other") });
    expect(text((await aws.decrypt({ CiphertextBlob })).Plaintext)).toBe("for the other");
    await aws.disableKey({ KeyId });
    expect(await refusal(other.decrypt({ CiphertextBlob }))).toMatch(/^DisabledException: /);
  });

  test("keeps its own order in many requests at once", async () => {
    const { aws } = lab.ways[name];
    const { KeyId } = await newKey(aws);
    const plaintexts = Array.from({ length: 200 }, (_, i) => `plaintext ${i}`);
    const opened = await Promise.all(
      plaintexts.map(async (plaintext) => {
        const { CiphertextBlob } = await aws.encrypt({ KeyId, Plaintext: bytes(plaintext) });
        return text((await aws.decrypt({ CiphertextBlob })).Plaintext);
      }),
    );
    expect(opened).toEqual(plaintexts);
  });

  test("takes plaintexts and context of every kind there and back", async () => {
    const { aws } = lab.ways[name];
    const { KeyId } = await newKey(aws);
    const EncryptionContext = { "\u0000": "\u{1F511}", __proto: "constructor", "a b": '"\\/' };
    const every = Uint8Array.from({ length: 4096 }, (_, i) => i);
    for (const Plaintext of [Uint8Array.of(0), every, Buffer.from(every.buffer, 100, 17)]) {
      const { CiphertextBlob } = await aws.encrypt({ KeyId, Plaintext, EncryptionContext });
      const opened = await aws.decrypt({ CiphertextBlob, EncryptionContext });
      expect(Buffer.from(opened.Plaintext as Uint8Array)).toEqual(Buffer.from(Plaintext));
    }
  });

  test("is told of faults that the model lacks", async () => {
    const { aws } = lab.ways[name];
    const { KeyId } = await newKey(aws);
    const { Policy = "" } = await aws.getKeyPolicy({ KeyId });
    const [statement] = JSON.parse(Policy).Statement;
    const deny = { ...statement, Sid: "no", Effect: "Deny", Action: "kms:Encrypt" };
    await aws.putKeyPolicy({
      KeyId,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: [statement, deny] }),
    });
    const denied = await aws.encrypt({ KeyId, Plaintext: bytes("x") }).catch((error) => error);
    expect(denied).toBeInstanceOf(sdk.KMSServiceException);
    expect(denied).toMatchObject({
      name: "AccessDeniedException",
      $metadata: { httpStatusCode: 400, attempts: 1 },
    });
    expect(denied.message).toMatch(
      /^User: \S+:root is not authorized to perform: kms:Encrypt on resource: \S+ with an explicit deny in a resource-based policy$/,
    );
    const invalid = await aws.generateRandom({ NumberOfBytes: 0 }).catch((error) => error);
    expect(invalid).toMatchObject({
      name: "ValidationException",
      $metadata: { httpStatusCode: 400, attempts: 1 },
    });
    const Recipient = {
      KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      AttestationDocument: bytes("nitro"),
    } as const;
    const attested = await aws.generateRandom({ NumberOfBytes: 8, Recipient }).catch((error) => error);
    expect(attested).toMatchObject({ name: "UnsupportedOperationException", $metadata: { attempts: 1 } });
  });

  test.each(NEWER)("%s, newer than the model, is told apart from a fault", async (operation) => {
    const { aws } = lab.ways[name];
    const send = { Encapsulate: () => aws.encapsulate, Decapsulate: () => aws.decapsulate }[operation]();
    const refused = await (send as (input: object) => Promise<unknown>)
      .call(aws, { KeyId: "x" })
      .catch((error) => error);
    expect(refused).toMatchObject({
      name: "UnknownOperationException",
      $metadata: { httpStatusCode: 400, attempts: 1 },
    });
  });

  test("can give up", async () => {
    const { aws } = lab.ways[name];
    const { KeyId } = await newKey(aws);
    const controller = new AbortController();
    const slow = aws.send(new sdk.GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "RSA_4096" }), {
      abortSignal: controller.signal,
    });
    setTimeout(() => controller.abort(), 5);
    expect(await slow.catch((error) => error)).toMatchObject({ name: "AbortError" });
    const before = AbortSignal.abort();
    const none = aws.send(new sdk.ListKeysCommand({}), { abortSignal: before });
    expect(await none.catch((error) => error)).toMatchObject({ name: "AbortError" });
    expect((await aws.generateRandom({ NumberOfBytes: 8 })).Plaintext).toHaveLength(8);
  });
});

test("tries faults of the service's own again, and those of the caller's not", async () => {
  let sent = 0;
  const inner = lab.kms.requestHandler();
  const handle = async (request: Parameters<typeof inner.handle>[0]) => {
    sent++;
    if (sent > 2) return inner.handle(request);
    const body = bytes('{"__type":"KMSInternalException"}');
    return { response: { statusCode: 500, headers: { "content-type": "application/x-amz-json-1.1" }, body } };
  };
  const aws = new sdk.KMS({
    region: lab.kms.region,
    credentials: lab.credentials,
    requestHandler: { ...inner, handle } as never,
  });
  const { $metadata } = await aws.generateRandom({ NumberOfBytes: 8 });
  expect([sent, $metadata.attempts]).toEqual([3, 3]);
  await refusal(aws.describeKey({ KeyId: "alias/none" }));
  expect(sent).toBe(4);
  aws.destroy();
});
