import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import type { Server } from "../lib/server.ts";
import { ACCOUNT, type AuditRecord, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";
import { newSigner } from "./signer.ts";

const OTHER = "444455556666";
const APP = `arn:aws:iam::${ACCOUNT}:role/service/app`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/app/web-1`;
const Plaintext = new Uint8Array([1, 2, 3]);
const HOUR = 3_600_000;

let kms: Kms;
let ann: Kms;
let server: Server;
let events: (count: number) => Promise<AuditRecord[]>;
let ahead = 0;
let KeyId: string;

const document = (...statements: object[]) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Resource: "*", ...statement })),
  });
const trust = (principal: object, more: object = {}, Action: string[] = ["sts:AssumeRole"]) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Principal: principal, Action, ...more },
  });

beforeAll(async () => {
  const clock = () => Date.now() + ahead;
  ({ kms, events } = await openTestDeployment({ clock }));
  server = await kms.listen({ port: 0 });
  await kms.iam.createUser({ UserName: "ann" });
  await kms.iam.createRole({
    RoleName: "app",
    Path: "/service/",
    AssumeRolePolicyDocument: trust({ AWS: ANN }, {}, ["sts:AssumeRole", "sts:TagSession"]),
    Tags: [{ Key: "Team", Value: "orders" }],
  });
  await kms.iam.putPolicy({
    Principal: APP,
    PolicyName: "uses",
    PolicyDocument: document({ Action: ["kms:Encrypt", "kms:Decrypt", "kms:ListKeys"] }),
  });
  ann = kms.as(ANN);
  ({ KeyId } = await newKey(kms));
});
afterAll(() => server.close());

type Assumed = Awaited<ReturnType<Kms["iam"]["assumeRole"]>>;
const assume = (input: Partial<Parameters<Kms["iam"]["assumeRole"]>[0]> = {}, caller = ann) =>
  caller.iam.assumeRole({ RoleArn: APP, RoleSessionName: "web-1", ...input });

function clientOf({ Credentials }: Pick<Assumed, "Credentials">, token = Credentials?.SessionToken) {
  const credentials = {
    accessKeyId: Credentials?.AccessKeyId as string,
    secretAccessKey: Credentials?.SecretAccessKey as string,
    ...(token !== undefined && { sessionToken: token }),
  };
  const options = { endpoint: server.url, region: REGION, credentials, maxAttempts: 1 };
  return new sdk.KMSClient({ ...options, systemClockOffset: ahead });
}
const encrypt = (client: sdk.KMSClient, more: object = {}) =>
  client.send(new sdk.EncryptCommand({ KeyId, Plaintext, ...more }));

describe("a session", () => {
  test("has credentials that end, and may what its role may", async () => {
    const before = Date.now() + ahead;
    const assumed = await assume();
    expect(assumed.AssumedRoleUser?.Arn).toBe(SESSION);
    expect(assumed.Credentials?.AccessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(Number(assumed.Credentials?.Expiration) - before - HOUR).toBeLessThan(10_000);
    const client = clientOf(assumed);
    const { CiphertextBlob } = await encrypt(client);
    await client.send(new sdk.DecryptCommand({ CiphertextBlob }));
    await client.send(new sdk.ListKeysCommand({}));
    await expect(client.send(new sdk.DescribeKeyCommand({ KeyId }))).rejects.toMatchObject({
      name: "AccessDeniedException",
      message: expect.stringMatching(
        `^User: ${SESSION} is not authorized to perform: kms:DescribeKey .* no identity-based policy allows`,
      ),
    });
    const [event] = await events(1);
    expect(event?.userIdentity).toMatchObject({ type: "AssumedRole", arn: SESSION });
  });

  test("is refused without its token, or with another's", async () => {
    const assumed = await assume();
    const other = await assume();
    const foreign = {
      name: "UnrecognizedClientException",
      message: "The security token included in the request is invalid.",
    };
    for (const token of ["", `${assumed.Credentials?.SessionToken}x`, other.Credentials?.SessionToken])
      await expect(encrypt(clientOf(assumed, token))).rejects.toMatchObject(foreign);
    await encrypt(clientOf(assumed));
  });

  test("is over when its time is, and then swept away", async () => {
    const assumed = await assume({ DurationSeconds: 900 });
    await encrypt(clientOf(assumed));
    ahead += 899_000;
    await encrypt(clientOf(assumed));
    ahead += 2_000;
    const expired = { message: "The security token included in the request is expired" };
    await expect(encrypt(clientOf(assumed))).rejects.toMatchObject({
      name: "ExpiredTokenException",
      ...expired,
    });
    await assume();
    await expect(encrypt(clientOf(assumed))).rejects.toMatchObject({ name: "UnrecognizedClientException" });
    ahead = 0;
  });

  test("is narrowed by a session policy, and widened by none", async () => {
    const Policy = document({ Action: ["kms:Encrypt", "kms:DescribeKey"] });
    const client = clientOf(await assume({ Policy }));
    const { CiphertextBlob } = await encrypt(client);
    await expect(client.send(new sdk.DecryptCommand({ CiphertextBlob }))).rejects.toThrow(
      /because no session policy allows the kms:Decrypt action/,
    );
    await expect(client.send(new sdk.DescribeKeyCommand({ KeyId }))).rejects.toThrow(
      /no identity-based policy allows/,
    );
    expect(await refusal(assume({ Policy: "{}" }))).toMatch(/^MalformedPolicyDocumentException/);
  });

  test("has the tags of its role and its own, which come first", async () => {
    const tagged = await newKey(kms, {
      Policy: document(
        { Principal: { AWS: ACCOUNT }, Action: "kms:*" },
        {
          Principal: { AWS: APP },
          Action: "kms:GenerateDataKeyWithoutPlaintext",
          Condition: { StringEquals: { "aws:PrincipalTag/team": "orders", "aws:PrincipalTag/tier": "web" } },
        },
      ),
    });
    const ask = async (Tags: { Key: string; Value: string }[]) =>
      clientOf(await assume({ Tags })).send(
        new sdk.GenerateDataKeyWithoutPlaintextCommand({ KeyId: tagged.KeyId, KeySpec: "AES_256" }),
      );
    await ask([{ Key: "tier", Value: "web" }]);
    await expect(ask([])).rejects.toMatchObject({ name: "AccessDeniedException" });
    await expect(
      ask([
        { Key: "tier", Value: "web" },
        { Key: "team", Value: "none" },
      ]),
    ).rejects.toMatchObject({ name: "AccessDeniedException" });
    expect(await refusal(assume({ Tags: [{ Key: "aws:x", Value: "1" }] }))).toMatch(/^TagException/);
  });

  test("ends with its role", async () => {
    const Principal = `arn:aws:iam::${ACCOUNT}:role/brief`;
    const brief = { RoleName: "brief", AssumeRolePolicyDocument: trust({ AWS: ANN }) };
    await kms.iam.createRole(brief);
    await kms.iam.putPolicy({ Principal, PolicyName: "p", PolicyDocument: document({ Action: "kms:*" }) });
    const client = clientOf(await assume({ RoleArn: Principal }));
    await encrypt(client);
    await kms.iam.putPermissionsBoundary({
      Principal,
      PermissionsBoundary: document({ Action: "kms:Decrypt" }),
    });
    await expect(encrypt(client)).rejects.toThrow(/no permissions boundary allows/);
    await kms.iam.deletePrincipal({ Principal });
    await expect(encrypt(client)).rejects.toMatchObject({ name: "UnrecognizedClientException" });
    await kms.iam.createRole(brief);
    await expect(encrypt(client)).rejects.toMatchObject({ name: "UnrecognizedClientException" });
  });

  test("is found by the grants to its role, whose path its own ARN lacks", async () => {
    const { KeyId: closed } = await newKey(kms);
    await kms.createGrant({ KeyId: closed, GranteePrincipal: APP, Operations: ["DescribeKey"] });
    const client = clientOf(await assume());
    await client.send(new sdk.DescribeKeyCommand({ KeyId: closed }));
  });

  test("ends when its access key is deleted", async () => {
    const assumed = await assume();
    await kms.deleteAccessKey({ AccessKeyId: assumed.Credentials?.AccessKeyId });
    await expect(encrypt(clientOf(assumed))).rejects.toMatchObject({ name: "UnrecognizedClientException" });
  });

  test("is no access key that is listed", async () => {
    const { Credentials } = await assume();
    const { AccessKeys } = await kms.listAccessKeys();
    expect(AccessKeys?.map(({ AccessKeyId }) => AccessKeyId)).not.toContain(Credentials?.AccessKeyId);
  });

  test("is on record without what is secret", async () => {
    const { Credentials } = await assume({ Tags: [{ Key: "tier", Value: "web" }] });
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "AssumeRole",
      requestParameters: { roleArn: APP, roleSessionName: "web-1" },
      responseElements: { assumedRoleUser: { arn: SESSION } },
      resources: [{ ARN: APP }],
    });
    expect(JSON.stringify(event)).not.toContain(Credentials?.SecretAccessKey);
    expect(JSON.stringify(event)).not.toContain(Credentials?.SessionToken);
  });
});

describe("who may assume a role", () => {
  const denied = (who: string, action: string, why: string) =>
    new RegExp(`^AccessDeniedException: User: ${who} is not authorized to perform: ${action} .*${why}`);

  test("its trust policy says, alone where it names the user", async () => {
    await kms.iam.createUser({ UserName: "eve" });
    const EVE = `arn:aws:iam::${ACCOUNT}:user/eve`;
    const eve = kms.as(EVE);
    expect(await refusal(assume({}, eve))).toMatch(denied(EVE, "sts:AssumeRole", "no resource-based policy"));
    const Principal = APP;
    await kms.iam.updateAssumeRolePolicy({ Principal, PolicyDocument: trust({ AWS: [ANN, ACCOUNT] }) });
    expect(await refusal(assume({}, eve))).toMatch(denied(EVE, "sts:AssumeRole", "no identity-based policy"));
    await kms.iam.putPolicy({
      Principal: EVE,
      PolicyName: "p",
      PolicyDocument: document({ Action: "sts:AssumeRole", Resource: APP }),
    });
    await assume({}, eve);
    expect(await refusal(assume({ Tags: [{ Key: "a", Value: "b" }] }, eve))).toMatch(
      denied(EVE, "sts:TagSession", "no resource-based policy"),
    );
    const condition = { Condition: { StringLike: { "sts:RoleSessionName": "web-*" } } };
    await kms.iam.updateAssumeRolePolicy({ Principal, PolicyDocument: trust({ AWS: ANN }, condition) });
    await assume();
    expect(await refusal(assume({ RoleSessionName: "batch" }))).toMatch(/^AccessDeniedException/);
  });

  test("never a root, nor anybody where there is no such role", async () => {
    expect(await refusal(assume({}, kms))).toBe(
      "AccessDeniedException: Roles may not be assumed by root accounts.",
    );
    const RoleArn = `${APP}-2`;
    expect(await refusal(assume({ RoleArn }))).toMatch(denied(ANN, "sts:AssumeRole", "no resource-based"));
  });

  test("another account's needs both sides", async () => {
    const FAR = `arn:aws:iam::${OTHER}:role/far`;
    const root = kms.as(`arn:aws:iam::${OTHER}:root`);
    await root.iam.createRole({ RoleName: "far", AssumeRolePolicyDocument: trust({ AWS: ANN }) });
    expect(await refusal(assume({ RoleArn: FAR }))).toMatch(
      denied(ANN, "sts:AssumeRole", "no identity-based policy"),
    );
    const allowing = { Principal: ANN, PolicyName: "far" };
    await kms.iam.putPolicy({
      ...allowing,
      PolicyDocument: document({ Action: "sts:AssumeRole", Resource: FAR }),
    });
    const { AssumedRoleUser } = await assume({ RoleArn: FAR });
    expect(AssumedRoleUser?.Arn).toBe(`arn:aws:sts::${OTHER}:assumed-role/far/web-1`);
    await kms.iam.deletePolicy(allowing);
  });

  test("a session may go on to another role, for an hour at most", async () => {
    const NEXT = `arn:aws:iam::${ACCOUNT}:role/next`;
    await kms.iam.createRole({ RoleName: "next", AssumeRolePolicyDocument: trust({ AWS: APP }) });
    await kms.iam.putPolicy({
      Principal: APP,
      PolicyName: "next",
      PolicyDocument: document({ Action: "sts:AssumeRole", Resource: NEXT }),
    });
    const session = await stsClient(await assume());
    expect(await session({ RoleArn: NEXT, RoleSessionName: "on" })).toMatchObject({ status: 200 });
    expect(await session({ RoleArn: NEXT, RoleSessionName: "on", DurationSeconds: "3601" })).toMatchObject({
      status: 400,
      text: expect.stringContaining("<Code>ValidationError</Code>"),
    });
  });
});

/** Asks AWS STS's AssumeRole by the query protocol. */
async function stsClient({ Credentials }: Pick<Assumed, "Credentials">) {
  const { AccessKeyId: accessKeyId = "", SecretAccessKey: secretAccessKey = "" } = Credentials ?? {};
  const sessionToken = Credentials?.SessionToken;
  const signer = newSigner("sts", REGION, {
    ...{ accessKeyId, secretAccessKey },
    ...(sessionToken !== undefined && { sessionToken }),
  });
  return async (parameters: Record<string, string>) => {
    const { hostname, port, protocol, host } = new URL(server.url);
    const body = new URLSearchParams({
      Action: "AssumeRole",
      Version: "2011-06-15",
      ...parameters,
    }).toString();
    const signed = await signer.sign(
      {
        ...{ method: "POST", protocol, hostname, port: Number(port), path: "/", query: {}, body },
        headers: { host, "content-type": "application/x-www-form-urlencoded" },
      },
      { signingDate: new Date(Date.now() + ahead) },
    );
    const answer = await fetch(server.url, { method: "POST", headers: signed.headers, body });
    return { status: answer.status, text: await answer.text() };
  };
}

describe("sts:AssumeRole over HTTP", () => {
  const element = (text: string, name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];

  test("gives credentials that work", async () => {
    await kms.iam.updateAssumeRolePolicy({
      Principal: APP,
      PolicyDocument: trust({ AWS: ANN }, {}, ["sts:AssumeRole", "sts:TagSession"]),
    });
    const key = await kms.createAccessKey({ Principal: ANN });
    const ask = await stsClient({ Credentials: key });
    const { status, text } = await ask({
      ...{ RoleArn: APP, RoleSessionName: "by-http", DurationSeconds: "900" },
      ...{ "Tags.member.1.Key": "tier", "Tags.member.1.Value": "a<b" },
      Policy: document({ Action: "kms:Encrypt" }),
    });
    expect(status).toBe(200);
    expect(element(text, "Arn")).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/app/by-http`);
    expect(element(text, "Expiration")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const Credentials = {
      AccessKeyId: element(text, "AccessKeyId") as string,
      SecretAccessKey: element(text, "SecretAccessKey") as string,
      SessionToken: element(text, "SessionToken") as string,
      Expiration: new Date(),
    };
    const whoAmI = await (await stsClient({ Credentials }))({ Action: "GetCallerIdentity" });
    expect(element(whoAmI.text, "Arn")).toBe(element(text, "Arn"));
    expect(element(whoAmI.text, "UserId")).toBe(element(text, "AssumedRoleId"));
    const client = clientOf({ Credentials });
    await encrypt(client);
    await expect(client.send(new sdk.ListKeysCommand({}))).rejects.toThrow(/no session policy allows/);
  });

  test.each([
    ["a role that is not trusted", { RoleArn: `${APP}-2` }, 403, "AccessDenied"],
    ["a duration that is none", { DurationSeconds: "x" }, 400, "ValidationError"],
    [
      "what is not offered",
      { "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/X" },
      400,
      "ValidationError",
    ],
    ["a policy that is none", { Policy: "{}" }, 400, "MalformedPolicyDocument"],
    ["another operation", { Action: "GetSessionToken" }, 400, "InvalidAction"],
  ])("refuses %s", async (_, parameters, status, code) => {
    const ask = await stsClient({ Credentials: await kms.createAccessKey({ Principal: ANN }) });
    const answer = await ask({ RoleArn: APP, RoleSessionName: "by-http", ...parameters });
    expect(answer.status).toBe(status);
    expect(element(answer.text, "Code")).toBe(code);
    const [event] = await events(1);
    // What is no operation here is counted, as GetCallerIdentity is.
    if (code === "InvalidAction") expect(event?.eventName).toBe("CreateAccessKey");
    else expect(event).toMatchObject({ eventName: "AssumeRole", errorCode: expect.any(String) });
  });
});
