// What a decision costs, warm: by a key policy of ten statements and five conditions, and by one grant of ten or of
// 10,000 on a key. Beside them an empty function call, for scale. Then all that access takes of a request (to look up who
// asks, the key and its grants, to decide, to check the key's state) beside the request itself, which encrypts 256 bytes
// as a user whose identity is kept here. Needs the compiled library.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compilePolicy, decide, GrantIndex, parsePrincipal } from "../dist/access.js";
import { Identity } from "../dist/identities.js";
import { openDeployment } from "../dist/kms/deployment.js";
import { operations } from "../dist/operations.js";
import { Admission } from "../dist/request/admission.js";
import { Requests } from "../dist/request.js";
import { inFlight } from "./round.mjs";
import { claim, say } from "./tell.mjs";

const account = "111122223333";
const key = `arn:aws:kms:us-east-1:${account}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const role = (name) => `arn:aws:iam::${account}:role/${name}`;
const use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"];

const policyText = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: { AWS: account }, Action: "kms:*" },
    { Effect: "Allow", Principal: { AWS: role("admin") }, Action: ["kms:Create*", "kms:Put*", "kms:Get*"] },
    { Effect: "Allow", Principal: { AWS: role("other") }, Action: use },
    {
      ...{ Effect: "Deny", Principal: "*", Action: "kms:*" },
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      ...{ Effect: "Deny", Principal: "*", Action: "kms:*" },
      Condition: { NotIpAddress: { "aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"] } },
    },
    { Effect: "Deny", Principal: { AWS: role("mallory") }, Action: "kms:*" },
    { Effect: "Allow", Principal: { Service: "backup.amazonaws.com" }, Action: use },
    {
      ...{ Effect: "Allow", Principal: { AWS: role("guest") }, Action: "kms:Decrypt" },
      Condition: { DateLessThan: { "aws:CurrentTime": "2026-01-01T00:00:00Z" } },
    },
    { Effect: "Deny", Principal: "*", NotAction: [...use, "kms:*Grant*", "kms:Get*", "kms:Put*"] },
    {
      ...{ Effect: "Allow", Principal: { AWS: role("app") }, Action: use },
      Condition: {
        StringEquals: { "kms:EncryptionContext:team": "\u0024{aws:PrincipalTag/team}" },
        StringLike: { "kms:RequestAlias": "alias/app/*" },
      },
    },
  ].map((statement) => ({ ...statement, Resource: "*" })),
});
const keyPolicy = compilePolicy(policyText);

const values = new Map([
  ["aws:securetransport", ["true"]],
  ["aws:sourceip", ["10.1.2.3"]],
  ["aws:currenttime", ["2026-11-23T00:00:00Z"]],
  ["kms:encryptioncontext:team", ["orders"]],
  ["kms:requestalias", ["alias/app/orders"]],
]);
const session = parsePrincipal(`arn:aws:sts::${account}:assumed-role/app/i-0123456789`);
const principal = { ...session, roleArn: role("app"), tags: { team: "orders" } };
const request = {
  ...{ principal, account, action: "kms:Encrypt", resource: key, keyPolicy },
  ...{ context: (name) => values.get(name), encryptionContext: { team: "orders" } },
};

const ownKeyPolicy = compilePolicy(
  JSON.stringify({ Statement: { Effect: "Allow", Principal: { AWS: account }, Action: "*", Resource: "*" } }),
);
/** A request that one of so many grants allows: those of other roles, and of this one with another context. */
function granted(count) {
  const grants = Array.from({ length: count }, (_, i) => ({
    ...{
      grantId: `${i}`,
      retiringPrincipal: null,
      issuingAccount: account,
      operations: ["Encrypt", "Decrypt"],
    },
    granteePrincipal: i % 2 === 0 ? role("app") : role(`role-${i}`),
    constraints: { EncryptionContextSubset: { team: i === count - 2 ? "orders" : `team-${i}` } },
  }));
  return { ...request, keyPolicy: ownKeyPolicy, grants: new GrantIndex(grants) };
}

/** Nanoseconds a call, of each: the median of many short runs, and the 99th in a hundred; all in turn, run by run. */
function costs(calls) {
  const runs = calls.map(() => []);
  for (let round = 0; round < 4000; round++) {
    for (const [i, call] of calls.entries()) {
      const start = process.hrtime.bigint();
      for (let n = 0; n < 100; n++) call();
      // The first half warms up.
      if (round >= 2000) runs[i].push(Number(process.hrtime.bigint() - start) / 100);
    }
  }
  return runs
    .map((times) => times.sort((a, b) => a - b))
    .map((times) => ({ p50: times[1000], p99: times[1980] }));
}

function decided(about, reason) {
  const decision = decide(about);
  if (decision.reason !== reason) throw new Error(`the decision is '${decision.reason}', not '${reason}'`);
  let allowed = 0;
  return () => {
    if (decide(about).allowed) allowed++;
    return allowed;
  };
}

const TRUST = JSON.stringify({
  Statement: { Effect: "Allow", Principal: { AWS: account }, Action: "sts:AssumeRole" },
});

let calls = 0;
const [empty, policy, few, many] = costs([
  () => calls++,
  decided(request, "key policy allows"),
  decided(granted(10), "grant allows"),
  decided(granted(10_000), "grant allows"),
]);
/** Microseconds: what access takes of a request, and the request, one at a time and of 64 in flight. */
async function inTotal() {
  const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-access-"));
  const deployment = await openDeployment({ directory: join(home, "keystead"), account });
  try {
    const { service } = deployment;
    const { region, store } = service;
    const callerOf = (arn) => ({
      ...{ identity: new Identity(store, parsePrincipal(arn)), region },
      ...{ sourceIp: "10.1.2.3", secureTransport: true },
    });
    const root = new Requests(service, callerOf(`arn:aws:iam::${account}:root`));
    const { KeyMetadata } = await root.request("CreateKey", {});
    const { KeyId } = KeyMetadata;
    const Tags = [{ Key: "team", Value: "orders" }];
    for (const name of ["app", "admin", "other", "mallory", "guest"])
      await root.request("CreateRole", { RoleName: name, AssumeRolePolicyDocument: TRUST, Tags });
    await root.request("CreateAlias", { AliasName: "alias/app/orders", TargetKeyId: KeyId });
    await root.request("PutKeyPolicy", { KeyId, Policy: policyText });
    const actor = callerOf(role("app"));
    const app = new Requests(service, actor);
    const input = {
      KeyId: "alias/app/orders",
      Plaintext: Buffer.alloc(256, 7),
      EncryptionContext: { team: "orders" },
    };
    const { action, states, usage } = operations.Encrypt;
    const terms = { action, states, usage, aliases: true };
    const [access] = costs([
      () => {
        const request = new Admission(service, actor, "", {});
        request.input = input;
        request.identify();
        request.admit(input.KeyId, terms);
      },
    ]);
    const encrypt = async (flights, calls) => {
      const started = performance.now();
      await inFlight(flights, calls, () => app.request("Encrypt", input));
      return ((performance.now() - started) / calls) * 1000;
    };
    await encrypt(64, 20_000);
    const figures = { alone: await encrypt(1, 5_000), together: await encrypt(64, 50_000) };
    return { access: access.p50 / 1000, ...figures };
  } finally {
    await deployment.close();
    rmSync(home, { recursive: true, force: true });
  }
}

for (const [what, { p50, p99 }] of [
  ["an empty call", empty],
  ["10 statements, 5 conditions", policy],
  ["one grant of 10", few],
  ["one grant of 10,000", many],
])
  say(`${what}: ${p50.toFixed(0)} ns, p99 ${p99.toFixed(0)} ns`);
claim("p50 of a decision", policy.p50 / 1000, { atMost: 3, unit: " µs" });
claim("10,000 grants beside 10", many.p50 / few.p50, { atMost: 1.5, unit: " ×" });
const { access, alone, together } = await inTotal();
say(
  `access takes ${access.toFixed(2)} µs of a request; an Encrypt ${alone.toFixed(0)} µs alone, ${together.toFixed(1)} µs of 64 in flight`,
);
claim("access in total, of an Encrypt alone", (access / alone) * 100, { atMost: 10, unit: " %" });
claim("access in total, of one of 64 in flight", (access / together) * 100, { atMost: 10, unit: " %" });
