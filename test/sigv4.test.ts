import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Principal, parsePrincipal } from "../lib/access.ts";
import { KmsError } from "../lib/errors.ts";
import { hashOfToken } from "../lib/identities.ts";
import { claimOf } from "../lib/server/claim.ts";
import { fieldsOf, type HttpRequest } from "../lib/server/message.ts";
import { isSignedBy } from "../lib/server/signature.ts";
import { type Credential, Verifier } from "../lib/server/sigv4.ts";
import { signingKey } from "../lib/sigv4.ts";
import { newSigner, type Signature } from "./signer.ts";
import suite from "./vectors/sigv4.json" with { type: "json" };

const NOW = Date.UTC(2026, 0, 15, 12);
const REGION = "eu-west-1";
const BODY = '{"KeyId":"alias/a"}';

/** Text of a head has one character a byte, as Node gives it. */
const onTheWire = (text: string) => Buffer.from(text).toString("latin1");

/** An HTTP request as text. */
function parse(text: string): HttpRequest {
  const end = text.indexOf("\n\n");
  const [first = "", ...lines] = onTheWire(text.slice(0, end)).split("\n");
  const [, method = "", target = ""] = /^(\S+) (.*) HTTP\/1\.1$/.exec(first) ?? [];
  const at = target.indexOf("?");
  return {
    method,
    path: at === -1 ? target : target.slice(0, at),
    query: at === -1 ? "" : target.slice(at + 1),
    fields: fieldsOf(
      lines.flatMap((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
    ),
    body: Buffer.from(text.slice(end + 2)),
    sourceIp: undefined,
    secure: false,
  };
}

describe("AWS's test suite", () => {
  test.each(suite.vectors)("$name", ({ request: text }) => {
    const request = parse(text);
    const claim = claimOf(request);
    expect(claim).toMatchObject({ signer: { accessKeyId: suite.accessKeyId }, time: "20150830T123600Z" });
    const key = signingKey(Buffer.from(suite.secretAccessKey), claim.signer);
    expect(isSignedBy(key, claim, request)).toBe(true);
    expect(isSignedBy(key, claim, { ...request, body: Buffer.from("another") })).toBe(false);
    expect(isSignedBy(key, claim, { ...request, path: `${request.path}x` })).toBe(false);
    const other = signingKey(Buffer.from(`${suite.secretAccessKey}x`), claim.signer);
    expect(isSignedBy(other, claim, request)).toBe(false);
  });
});

const credentials = {
  accessKeyId: "AKIAEXAMPLEEXAMPLE22",
  secretAccessKey: "a/secret+that_is_40_characters_long_____",
};
const session = {
  ...credentials,
  accessKeyId: "ASIAEXAMPLEEXAMPLE22",
  sessionToken: "the/token+of==a-session",
};
const root = parsePrincipal("arn:aws:iam::111122223333:root") as Principal;

function verifier(now = NOW, expiresAt = NOW + 60_000): Verifier {
  const known = new Map<string, Credential>();
  const secret = async () => Buffer.from(credentials.secretAccessKey);
  known.set(credentials.accessKeyId, { principal: root, secret });
  known.set(session.accessKeyId, {
    principal: root,
    secret,
    session: { tokenHash: hashOfToken(session.sessionToken), expiresAt },
  });
  return new Verifier({
    clock: () => now,
    credential: (id) => known.get(id),
    serves: (region) => region === REGION,
  });
}

type Message = {
  method: string;
  protocol: string;
  hostname: string;
  path: string;
  headers: Record<string, string>;
  query: Record<string, string | string[]>;
  body?: string;
};

const unsigned = (changes: Partial<Message> = {}): Message => ({
  method: "POST",
  protocol: "https:",
  hostname: "kms.example",
  path: "/",
  headers: {
    host: "kms.example",
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "TrentService.DescribeKey",
  },
  query: {},
  body: BODY,
  ...changes,
});

const signer = (service = "kms", region = REGION, who: Signature = credentials) =>
  newSigner(service, region, who);

function received({ method, path, headers, query, body = "" }: Message): HttpRequest {
  const pairs = Object.entries(query).flatMap(([name, values]) =>
    [values].flat().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  );
  return {
    method,
    path,
    query: pairs.join("&"),
    fields: fieldsOf(Object.entries(headers).flat().map(onTheWire)),
    body: Buffer.from(body),
    sourceIp: undefined,
    secure: true,
  };
}

async function signed(changes: Partial<Message> = {}, by = signer(), at = NOW): Promise<HttpRequest> {
  return received((await by.sign(unsigned(changes), { signingDate: new Date(at) })) as Message);
}

async function presigned(changes: Partial<Message> = {}, by = signer(), at = NOW, expiresIn = 60) {
  const options = {
    signingDate: new Date(at),
    expiresIn,
    unhoistableHeaders: new Set(["x-amz-target"]),
    hoistableHeaders: new Set<string>(),
  };
  return received((await by.presign(unsigned(changes), options)) as Message);
}

const change = (request: HttpRequest, name: string, value: string | undefined): HttpRequest => {
  const fields = new Map(request.fields);
  if (value === undefined) fields.delete(name);
  else fields.set(name, value);
  return { ...request, fields };
};

async function outcome(request: HttpRequest, by = verifier()): Promise<string> {
  try {
    return (await by.verify(request)).accessKeyId;
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

const WRONG = /^InvalidSignatureException: The request signature we calculated does not match/;

describe("requests of an independent signer", () => {
  test.each<[string, Partial<Message>]>([
    ["as clients send them", {}],
    ["without a body", { body: "" }],
    ["with UTF-8 in the body", { body: '{"Description":"ሴ🔑"}' }],
    ["with a path", { path: "/some/path/" }],
    ["with spaces in the path", { path: "/a%20b" }],
    ["with a query", { query: { b: "2", a: ["2", "1"], "ü ": "~'()*!" } }],
    ["with spaces in a field", { headers: { ...unsigned().headers, "x-amz-note": "  a   b  " } }],
  ])("%s", async (_, changes) => {
    expect(await outcome(await signed(changes))).toBe(credentials.accessKeyId);
    expect(await outcome(await presigned(changes))).toBe(credentials.accessKeyId);
  });

  test("say whom, where and what for", async () => {
    expect(await verifier().verify(await signed({}, signer("sts")))).toEqual({
      accessKeyId: credentials.accessKeyId,
      principal: root,
      region: REGION,
      service: "sts",
    });
  });

  test("may come again as they are", async () => {
    const [by, request] = [verifier(), await signed()];
    expect(await outcome(request, by)).toBe(credentials.accessKeyId);
    expect(await outcome(request, by)).toBe(credentials.accessKeyId);
  });

  test("may state the hash of their body, if it is the right one", async () => {
    const hash = createHash("sha256").update(BODY).digest("hex");
    const headers = (value: string) => ({
      headers: { ...unsigned().headers, "x-amz-content-sha256": value },
    });
    expect(await outcome(await signed(headers(hash)))).toBe(credentials.accessKeyId);
    expect(await outcome(await signed(headers("UNSIGNED-PAYLOAD")))).toMatch(WRONG);
  });

  test.each(["20260115T120000Z", "Thu, 15 Jan 2026 12:00:00 GMT"])(
    "may have their date in Date: %s",
    async (date) => {
      const hash = (text: string) => createHash("sha256").update(text).digest("hex");
      const head = `content-type:application/x-amz-json-1.1\ndate:${date}\nhost:kms.example\n`;
      const canonical = `POST\n/\n\n${head}\ncontent-type;date;host\n${hash(BODY)}`;
      const scope = ["20260115", REGION, "kms", "aws4_request"];
      const toSign = `AWS4-HMAC-SHA256\n20260115T120000Z\n${scope.join("/")}\n${hash(canonical)}`;
      const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
      const key = scope.reduce(hmac, Buffer.from(`AWS4${credentials.secretAccessKey}`));
      const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope.join("/")}, SignedHeaders=content-type;date;host, Signature=${hmac(key, toSign).toString("hex")}`;
      const headers = {
        host: "kms.example",
        "content-type": "application/x-amz-json-1.1",
        date,
        authorization,
      };
      expect(await outcome(received(unsigned({ headers })))).toBe(credentials.accessKeyId);
    },
  );
});

describe("whatever is changed on the way", () => {
  test.each<[string, (request: HttpRequest) => HttpRequest]>([
    ["the body", (r) => ({ ...r, body: Buffer.from(BODY.replace("alias/a", "alias/b")) })],
    ["a byte added to the body", (r) => ({ ...r, body: Buffer.from(`${BODY} `) })],
    ["no body", (r) => ({ ...r, body: Buffer.alloc(0) })],
    ["the method", (r) => ({ ...r, method: "PUT" })],
    ["the path", (r) => ({ ...r, path: "/other" })],
    ["the query", (r) => ({ ...r, query: r.query === "" ? "a=b" : `${r.query}&a=b` })],
    ["the target", (r) => change(r, "x-amz-target", "TrentService.ScheduleKeyDeletion")],
    ["the host", (r) => change(r, "host", "other.example")],
    ["the content type, being signed", (r) => change(r, "content-type", "text/plain")],
    ["a signed field left out", (r) => change(r, "content-type", undefined)],
  ])("%s", async (_, tamper) => {
    expect(await outcome(tamper(await signed()))).toMatch(WRONG);
    const query = tamper(await presigned());
    expect(await outcome(query)).toMatch(/^InvalidSignatureException: /);
  });

  test("a field x-amz-* that was added", async () => {
    expect(await outcome(change(await signed(), "x-amz-extra", "1"))).toBe(
      "InvalidSignatureException: 'x-amz-extra' must be a 'SignedHeader' in the AWS Authorization.",
    );
  });

  test("each part of the signature", async () => {
    const request = await signed();
    const authorization = request.fields.get("authorization") as string;
    const [head = "", hex = ""] = authorization.split("Signature=");
    for (let at = 0; at < hex.length; at++) {
      const digit = ((Number.parseInt(hex[at] as string, 16) + 1) % 16).toString(16);
      const forged = `${head}Signature=${hex.slice(0, at)}${digit}${hex.slice(at + 1)}`;
      expect(await outcome(change(request, "authorization", forged))).toMatch(WRONG);
    }
    for (const forged of ["", hex.slice(1), `${hex}0`, `${hex}00`, "z".repeat(64), `${hex.slice(0, 62)}zz`])
      expect(await outcome(change(request, "authorization", `${head}Signature=${forged}`))).toMatch(
        /^(Incomplete|Invalid)SignatureException: /,
      );
  });
});

describe("the scope", () => {
  const cases: [string, () => Promise<HttpRequest>, string][] = [
    ["another service", () => signed({}, signer("s3")), "correct service: 'kms'. "],
    ["another Region", () => signed({}, signer("kms", "us-east-1")), "to a valid region. "],
  ];
  test.each(cases)("of %s", async (_, make, ending) => {
    expect(await outcome(await make())).toMatch(
      /^InvalidSignatureException: Credential should be scoped to /,
    );
    expect(await outcome(await make())).toContain(ending);
  });

  test.each([
    ["AKIAEXAMPLEEXAMPLE22/20260115/eu-west-1/kms", /^IncompleteSignatureException: Credential must have/],
    ["AKIAEXAMPLEEXAMPLE22/20260115/eu-west-1/kms/aws4_request/x", /^IncompleteSignatureException/],
    ["/20260115/eu-west-1/kms/aws4_request", /^IncompleteSignatureException/],
    [
      "AKIAEXAMPLEEXAMPLE22/20260115/eu-west-1/kms/aws5_request",
      /^InvalidSignatureException: .*valid terminator/,
    ],
    [
      "AKIAEXAMPLEEXAMPLE22/20260114/eu-west-1/kms/aws4_request",
      /^InvalidSignatureException: Date in Credential/,
    ],
    [
      "AKIAEXAMPLEEXAMPLE23/20260115/eu-west-1/kms/aws4_request",
      /^UnrecognizedClientException: The security token/,
    ],
  ])("%s", async (credential, error) => {
    const request = await signed();
    const authorization = request.fields.get("authorization") as string;
    const changed = authorization.replace(/Credential=[^,]+/, `Credential=${credential}`);
    expect(await outcome(change(request, "authorization", changed))).toMatch(error);
  });
});

describe("what is missing or malformed", () => {
  test("no signature at all", async () => {
    expect(await outcome(received(unsigned()))).toBe(
      "MissingAuthenticationTokenException: Missing Authentication Token",
    );
  });

  test.each([
    ["Bearer abc", /requires the algorithm/],
    ["AWS4-ECDSA-P256-SHA256 Credential=a", /requires the algorithm/],
    ["AWS4-HMAC-SHA256", /'Credential'.*'Signature'.*'SignedHeaders'/],
    ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e", /requires 'Signature' parameter. .*'SignedHeaders'/],
    ["AWS4-HMAC-SHA256 Signature=1, Signature=2", /twice/],
  ])("Authorization: %s", async (value, error) => {
    const answer = await outcome(change(await signed(), "authorization", value));
    expect(answer).toMatch(/^IncompleteSignatureException: /);
    expect(answer).toMatch(error);
  });

  test.each(["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"])(
    "a query without %s",
    async (name) => {
      const request = await presigned();
      const query = request.query.split("&").filter((pair) => !pair.startsWith(`${name}=`));
      expect(await outcome({ ...request, query: query.join("&") })).toMatch(
        /^IncompleteSignatureException: .*X-Amz-/,
      );
    },
  );

  test("a signature in the header and one in the query", async () => {
    const [header, query] = [await signed(), await presigned()];
    const both = change(query, "authorization", header.fields.get("authorization"));
    expect(await outcome(both)).toMatch(/^IncompleteSignatureException: .* not in both/);
  });

  test("a parameter twice", async () => {
    const request = await presigned();
    expect(await outcome({ ...request, query: `${request.query}&X-Amz-Date=20260115T120000Z` })).toMatch(
      /^IncompleteSignatureException: .*once only/,
    );
  });

  test("the host unsigned", async () => {
    const request = await signed();
    const authorization = (request.fields.get("authorization") as string).replace("host;", "");
    expect(await outcome(change(request, "authorization", authorization))).toMatch(
      /'Host' or ':authority' must/,
    );
  });

  test.each(["today", "2026-01-15T12:00:00Z", "20260115T120000", "99999999T999999Z"])(
    "the date %s",
    async (date) => {
      expect(await outcome(change(await signed(), "x-amz-date", date))).toMatch(
        /^(Incomplete|Invalid)SignatureException: /,
      );
    },
  );
});

describe("time", () => {
  const minutes = (count: number) => count * 60_000;
  test.each([-5, -4.99, 0, 4.99, 5])("a clock that is off by %d minutes is borne", async (off) => {
    expect(await outcome(await signed({}, signer(), NOW + minutes(off)))).toBe(credentials.accessKeyId);
  });

  test("one that is further off is not, in AWS's words", async () => {
    expect(await outcome(await signed({}, signer(), NOW - minutes(5) - 1000))).toBe(
      "InvalidSignatureException: Signature expired: 20260115T115459Z is now earlier than 20260115T115500Z (20260115T120000Z - 5 min.)",
    );
    expect(await outcome(await signed({}, signer(), NOW + minutes(5) + 1000))).toBe(
      "InvalidSignatureException: Signature not yet current: 20260115T120501Z is still later than 20260115T120500Z (20260115T120000Z + 5 min.)",
    );
  });

  test("a signed query holds for as long as it says", async () => {
    const request = await presigned({}, signer(), NOW, 3600);
    expect(await outcome(request, verifier(NOW + minutes(60)))).toBe(credentials.accessKeyId);
    expect(await outcome(request, verifier(NOW + minutes(60) + 1000))).toMatch(/Signature expired: /);
    expect(await outcome(request, verifier(NOW - minutes(6)))).toMatch(/Signature not yet current: /);
  });

  test.each(["0", "-1", "604801", "1.5", "x"])("X-Amz-Expires %s is refused", async (value) => {
    const request = await presigned();
    const query = request.query.replace(/X-Amz-Expires=\d+/, `X-Amz-Expires=${value}`);
    expect(await outcome({ ...request, query })).toMatch(/^IncompleteSignatureException: X-Amz-Expires/);
  });
});

describe("session tokens", () => {
  test("are needed by a session, and must be its own", async () => {
    const by = signer("kms", REGION, session);
    expect(await outcome(await signed({}, by))).toBe(session.accessKeyId);
    expect(await outcome(await presigned({}, by))).toBe(session.accessKeyId);
    const other = signer("kms", REGION, { ...session, sessionToken: "another" });
    expect(await outcome(await signed({}, other))).toMatch(/^UnrecognizedClientException: /);
    const none = signer("kms", REGION, { ...credentials, accessKeyId: session.accessKeyId });
    expect(await outcome(await signed({}, none))).toMatch(/^UnrecognizedClientException: /);
  });

  test("are refused with a key that has none", async () => {
    const by = signer("kms", REGION, { ...credentials, sessionToken: "a" });
    expect(await outcome(await signed({}, by))).toMatch(/^UnrecognizedClientException: /);
  });

  test("end", async () => {
    const by = signer("kms", REGION, session);
    expect(await outcome(await signed({}, by), verifier(NOW, NOW))).toBe(
      "ExpiredTokenException: The security token included in the request is expired",
    );
  });
});

test("secrets are asked for once a day, Region and service, and wiped", async () => {
  let asked = 0;
  let given: Buffer | undefined;
  const credential: Credential = {
    principal: root,
    secret: async () => {
      asked++;
      given = Buffer.from(credentials.secretAccessKey);
      return given;
    },
  };
  const by = new Verifier({ clock: () => NOW, credential: () => credential, serves: () => true });
  for (let i = 0; i < 3; i++) await by.verify(await signed());
  expect(asked).toBe(1);
  expect(given?.every((byte) => byte === 0)).toBe(true);
  await by.verify(await signed({}, signer("sts")));
  expect(asked).toBe(2);
});

test("whatever comes, it is refused with an error of AWS's", { timeout: 120_000 }, async () => {
  const [by, header, query] = [verifier(), await signed(), await presigned()];
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.constantFrom("", "AWS4-HMAC-SHA256", "/", "%", "%zz", ";;", ",", "=", "20260115T120000Z"),
  );
  const authorization = header.fields.get("authorization") as string;
  /** Something real with something else put into it. */
  const spliced = (whole: string) =>
    fc
      .tuple(fc.nat(whole.length), fc.nat(8), text)
      .map(([at, length, put]) => whole.slice(0, at) + put + whole.slice(at + length));
  const requests = fc.oneof(
    fc.record({ path: text, query: text, authorization: text, date: text }).map((parts) => ({
      ...header,
      path: parts.path,
      query: parts.query,
      fields: new Map([...header.fields, ["authorization", parts.authorization], ["x-amz-date", parts.date]]),
    })),
    spliced(authorization).map((value) => change(header, "authorization", value)),
    spliced(query.query).map((changed) => ({ ...query, query: changed })),
  );
  const signatures = [header, query].map((request) => claimOf(request).signature);
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      const answer = await outcome(request, by);
      // What says the same in other words is let through.
      if (answer === credentials.accessKeyId)
        expect(signatures).toContain(claimOf(request).signature.toLowerCase());
      else expect(answer).toMatch(/^(Missing|Incomplete|Invalid|Unrecognized)/);
    }),
    { interruptAfterTimeLimit: 10_000, numRuns: 20_000 },
  );
});
