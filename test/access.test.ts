import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileGlob, unitsOf } from "../lib/access/glob.ts";
import { compileArn, compilePattern } from "../lib/access/pattern.ts";
import {
  compilePolicy,
  decide,
  defaultKeyPolicy,
  explain,
  LONGEST_POLICY,
  lockoutCheck,
  type Policy,
  type PolicyKind,
  type Principal,
  parsePrincipal,
} from "../lib/access.ts";
import { MalformedPolicyDocumentException } from "../lib/errors.ts";

const ACCOUNT = "111122223333";
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;

const compile = (policy: unknown, kind: "key" | "identity" = "key") =>
  compilePolicy(JSON.stringify(policy), kind);

function principal(arn: string): Principal {
  const found = parsePrincipal(arn);
  if (found === undefined) throw new Error(`no principal: ${arn}`);
  return found;
}

describe("a pattern", () => {
  /** The definition, by recursion on both. */
  function describes(pattern: string, text: string): boolean {
    if (pattern === "") return text === "";
    const rest = pattern.slice(1);
    if (pattern[0] === "*")
      return describes(rest, text) || (text !== "" && describes(pattern, text.slice(1)));
    return text !== "" && (pattern[0] === "?" || pattern[0] === text[0]) && describes(rest, text.slice(1));
  }
  const word = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 });

  it("matches what its definition says", () => {
    fc.assert(
      fc.property(word("ab*?"), word("ab"), (pattern, text) => {
        expect(compilePattern(pattern)(text)).toBe(describes(pattern, text));
      }),
      { numRuns: 5000 },
    );
    expect(compilePattern("a.c")("abc")).toBe(false);
    expect(compilePattern("(a+)+$")("aaa")).toBe(false);
  });

  /** The definition, line by line: whether each beginning of the pattern describes each of the text. */
  function describesLong(pattern: string, text: string): boolean {
    let row = Array.from({ length: text.length + 1 }, (_, t) => t === 0);
    for (const unit of pattern) {
      const next = [unit === "*" && row[0] === true];
      for (let t = 1; t <= text.length; t++)
        next[t] =
          unit === "*"
            ? row[t] === true || next[t - 1] === true
            : row[t - 1] === true && (unit === "?" || unit === text[t - 1]);
      row = next;
    }
    return row.at(-1) === true;
  }

  it("matches what its definition says, at length", () => {
    const run = (letters: string, most: number) =>
      fc.array(fc.tuple(fc.string({ unit: fc.constantFrom(...letters), maxLength: 4 }), fc.nat(12)), {
        maxLength: most,
      });
    const repeated = (list: [string, number][]) => list.map(([text, count]) => text.repeat(count)).join("");
    let matching = 0;
    fc.assert(
      fc.property(run("aab?", 8), run("aab", 8), fc.nat(), fc.nat(), (parts, texts, one, other) => {
        const text = repeated(texts);
        const patterns = [repeated(parts), `*${repeated(parts)}*`];
        // Parts of the text itself, with some of it left out.
        const from = one % (text.length + 1);
        const to = from + (other % (text.length - from + 1));
        const piece = [...text.slice(from, to)].map((unit, i) => (i % 7 === 3 ? "?" : unit)).join("");
        patterns.push(`*${piece}*`, `${text.slice(0, from)}*${text.slice(to)}`, `a*${piece}*${piece}*b`);
        for (const pattern of patterns) {
          const wanted = describesLong(pattern, text);
          if (wanted) matching++;
          expect(compilePattern(pattern)(text)).toBe(wanted);
        }
      }),
      { numRuns: 2000 },
    );
    expect(matching).toBeGreaterThan(2000);
  });

  /** How often a text is looked at until it is decided on. */
  function looks(pattern: string, length: number): number {
    let count = 0;
    const text = {
      length,
      charCodeAt: () => {
        count++;
        return 0x61;
      },
    };
    compileGlob(unitsOf(pattern, true))(text as unknown as string);
    return count;
  }

  it("looks at each place of a text once for the ends and once for what is between, whatever it is", () => {
    const parts = ["*a", "a*", "?*", "*?a", "*a*a", "**", "a*b", "*aab", "*a?a?b", "aaaaaaab*", "*ab?a"];
    for (const part of parts)
      for (const end of ["", "b", "*b", "?b", "*a?b*", `*${"a".repeat(500)}b*`, `*${"a?".repeat(250)}b*`])
        for (const length of [600, 6000])
          expect(looks(`${part.repeat(300)}${end}`, length)).toBeLessThanOrEqual(2 * length);
  });

  it("stays within its part of an ARN, save the last", () => {
    expect(compileArn("arn:aws:kms:*:key/1")("arn:aws:kms:us-east-1:111122223333:key/1")).toBe(false);
    expect(compileArn("arn:aws:kms:*:*:*")("arn:aws:kms:us-east-1:111122223333:alias/a:b")).toBe(true);
    expect(compileArn("arn:aws:kms:*:*:key/*")("*")).toBe(false);
    expect(compileArn("arn:*:*:*:*:*")("arn:aws")).toBe(false);
  });
});

describe("a principal", () => {
  it.each([
    ["arn:aws:iam::111122223333:root", "Account"],
    ["arn:aws:iam::111122223333:user/bob", "User"],
    ["arn:aws:iam::111122223333:user/a/b/bob@example.com", "User"],
    ["arn:aws:iam::111122223333:role/aws-service-role/x/y", "Role"],
    ["arn:aws:sts::111122223333:assumed-role/app/i-0123", "AssumedRole"],
    ["arn:aws:sts::111122223333:federated-user/fred", "FederatedUser"],
  ])("may be %s", (arn, type) => {
    expect(parsePrincipal(arn)).toEqual({ arn, account: "111122223333", type });
  });

  it("may be a service", () => {
    expect(parsePrincipal("backup.amazonaws.com")).toEqual({
      arn: "backup.amazonaws.com",
      account: "",
      type: "Service",
    });
  });

  it.each([
    "",
    "*",
    "bob",
    "111122223333",
    "arn:aws:iam::111122223333:user/*",
    "arn:aws:iam::*:root",
    "arn:aws:iam::111122223333:user/",
    "arn:aws:iam::111122223333:group/ops",
    "arn:aws:iam::1111:root",
    "arn:aws:iam::111122223333:root/x",
    "arn:aws:iam::111122223333:root\n",
    "arn:aws:iam:us-east-1:111122223333:root",
    "arn:aws:sts::111122223333:assumed-role/app",
    "arn:aws:sts::111122223333:assumed-role/team/app/session",
    "backup.amazonaws.com.example.org",
    "amazonaws.com",
    `arn:aws:iam::111122223333:user/${"a".repeat(3000)}`,
  ])("is not %j", (text) => {
    expect(parsePrincipal(text)).toBeUndefined();
  });
});

describe("a policy that is not to be evaluated as written", () => {
  const statement = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const without = (name: keyof typeof statement) => ({ ...statement, [name]: undefined });
  const one = (changes: object) => ({ Statement: [{ ...statement, ...changes }] });
  const aws = (AWS: unknown) => one({ Principal: { AWS } });

  function refusal(text: string, kind: PolicyKind = "key"): string {
    try {
      askEverything(compilePolicy(text, kind));
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedPolicyDocumentException);
      return (error as Error).message;
    }
    return "accepted";
  }

  /** Whatever is accepted can be decided by, for every kind of caller and whatever the request has. */
  function askEverything(policy: Policy): void {
    const texts = ["", "a", "10.0.0.1", "2026", "arn:aws:s3:::a", "\u0024{a}", "*"];
    for (const arn of ["backup.amazonaws.com", "arn:aws:sts::111122223333:assumed-role/app/i-0123"]) {
      for (const context of [undefined, () => undefined, () => [], () => texts, () => ["a"]]) {
        const about = { principal: { ...principal(arn), tags: { a: "*" } }, account: ACCOUNT, context };
        const request = { ...about, action: "kms:Encrypt", resource: KEY };
        const asked = { ...request, keyPolicy: policy, identityPolicies: [policy] };
        expect(typeof decide(asked).allowed).toBe("boolean");
        expect(explain(asked).allowed).toBe(decide(asked).allowed);
      }
    }
  }

  it.each<[unknown, string]>([
    [null, "the policy: must be an object"],
    [[], "the policy: must be an object"],
    ["*", "the policy: must be an object"],
    [{}, "Statement: there must be at least one statement"],
    [{ Statement: [] }, "Statement: there must be at least one statement"],
    [{ Statement: "x" }, "Statement[0]: must be an object"],
    [{ Statement: [statement, null] }, "Statement[1]: must be an object"],
    [{ Statement: statement, Statements: [] }, "Statements: is no member of a policy"],
    [{ version: "2012-10-17", Statement: statement }, "version: is no member of a policy"],
    [
      { Version: "2012-10-18", Statement: statement },
      'Version: "2012-10-18" is neither "2012-10-17" nor "2008-10-17"',
    ],
    [{ Version: null, Statement: statement }, 'Version: null is neither "2012-10-17" nor "2008-10-17"'],
    [{ Id: 7, Statement: statement }, "Id: must be a string"],
    [one({ Sid: 7 }), "Statement[0].Sid: must be a string"],
    [one({ Effect: "allow" }), 'Statement[0].Effect: "allow" is neither "Allow" nor "Deny"'],
    [{ Statement: without("Effect") }, 'Statement[0].Effect: nothing is neither "Allow" nor "Deny"'],
    [{ Statement: without("Principal") }, "Statement[0].Principal: is missing"],
    [{ Statement: without("Action") }, "Statement[0]: there must be either Action or NotAction"],
    [{ Statement: without("Resource") }, "Statement[0]: there must be either Resource or NotResource"],
    [one({ NotAction: "kms:Encrypt" }), "Statement[0]: there must be either Action or NotAction"],
    [one({ NotResource: "*" }), "Statement[0]: there must be either Resource or NotResource"],
    [one({ Actions: "kms:*" }), "Statement[0].Actions: is no member of a statement"],
    [
      { Statement: { ...statement, NotPrincipal: { AWS: "111122223333" } } },
      "Statement[0]: there must be either Principal or NotPrincipal",
    ],
    [
      { Statement: { ...without("Principal"), NotPrincipal: "*" } },
      'Statement[0].NotPrincipal: goes with "Deny" only: an Allow must say whom it allows',
    ],
    [
      { Statement: { ...without("Principal"), Effect: "Deny", NotPrincipal: {} } },
      "Statement[0].NotPrincipal: names nobody",
    ],
    [one({ Action: [] }), "Statement[0].Action: is empty"],
    [one({ Action: 7 }), "Statement[0].Action: must be a string"],
    [one({ Action: ["kms:Encrypt", null] }), "Statement[0].Action[1]: must be a string"],
    [
      one({ Action: "Encrypt" }),
      'Statement[0].Action: "Encrypt" is no action; write "kms:" and a name, or "kms:*"',
    ],
    [
      one({ Action: "k*:Encrypt" }),
      'Statement[0].Action: "k*:Encrypt" is no action; write "kms:" and a name, or "kms:*"',
    ],
    [
      one({ Action: "kns:Encrypt" }),
      'Statement[0].Action: "kns:Encrypt" is an action of another service; a key policy names those of kms',
    ],
    [one({ Resource: "key/1" }), 'Statement[0].Resource: "key/1" is neither "*" nor an ARN'],
    [
      one({ Resource: ["*", "arn:aws:kms:*"] }),
      'Statement[0].Resource[1]: "arn:aws:kms:*" is neither "*" nor an ARN',
    ],
    [one({ Principal: [] }), "Statement[0].Principal: must be an object"],
    [one({ Principal: {} }), "Statement[0].Principal: names nobody"],
    [
      one({ Principal: "111122223333" }),
      'Statement[0].Principal: "111122223333" must be "*", or stand in an object: {"AWS": "111122223333"}',
    ],
    [
      one({ Principal: { Federated: "x" } }),
      'Statement[0].Principal.Federated: only "AWS" and "Service" principals are served',
    ],
    [
      one({ Principal: { aws: "*" } }),
      'Statement[0].Principal.aws: only "AWS" and "Service" principals are served',
    ],
    [
      one({ Principal: { Service: "*" } }),
      'Statement[0].Principal.Service: "*" is not the name of a service, such as "backup.amazonaws.com"',
    ],
    [aws([]), "Statement[0].Principal.AWS: is empty"],
    [aws(["*", 1]), "Statement[0].Principal.AWS[1]: must be a string"],
    [
      aws("bob"),
      'Statement[0].Principal.AWS: "bob" is no account, nor the ARN of a root, user, role or role session',
    ],
    [
      aws("arn:aws:iam::111122223333:role/*"),
      'Statement[0].Principal.AWS: "arn:aws:iam::111122223333:role/*" is no account, nor the ARN of a root, user, role or role session',
    ],
    [
      aws("backup.amazonaws.com"),
      'Statement[0].Principal.AWS: "backup.amazonaws.com" is no account, nor the ARN of a root, user, role or role session',
    ],
    [
      {
        Statement: [
          { ...statement, Sid: "a" },
          { ...statement, Sid: "b" },
          { ...statement, Sid: "a" },
        ],
      },
      "Statement[2].Sid: 'a' is the Sid of an earlier statement",
    ],
    [
      one({ Effect: "x".repeat(200) }),
      `Statement[0].Effect: "${"x".repeat(99)}… is neither "Allow" nor "Deny"`,
    ],
  ])("is refused, saying where and what (%#)", (policy, message) => {
    expect(refusal(JSON.stringify(policy))).toBe(message);
  });

  it("is refused when it is no JSON, or names a member twice", () => {
    for (const text of ["", "{", "x", '{"Statement": [],}', "{'Statement': []}"])
      expect(refusal(text)).toMatch(/^the policy: is not JSON: /);
    const twice = JSON.stringify(one({})).replace(
      '"Effect":"Allow"',
      '"Effect":"Deny","Eff\\u0065ct":"Allow"',
    );
    expect(refusal(twice)).toMatch(/the member 'Effect' is there twice, at position \d+$/);
    expect(refusal(JSON.stringify(one({ Sid: 'a","Sid":"{[,' })))).toBe("accepted");
    expect(
      refusal(
        JSON.stringify({
          Statement: [
            { ...statement, Sid: "" },
            { ...statement, Sid: "" },
          ],
        }),
      ),
    ).toBe("accepted");
  });

  it("is refused when it is too long, in bytes", () => {
    const fitting = JSON.stringify(one({ Sid: "" }));
    const longest = fitting.replace(
      '"Sid":""',
      `"Sid":"${"é".repeat((LONGEST_POLICY - fitting.length) / 2)}"`,
    );
    expect(Buffer.byteLength(longest)).toBeGreaterThan(LONGEST_POLICY - 2);
    expect(refusal(longest)).toBe("accepted");
    expect(refusal(`${longest}  `)).toMatch(
      /^the policy: 327\d\d bytes are too many; at most 32768 are allowed$/,
    );
  });

  it("names a principal in an identity policy", () => {
    const { Principal, ...body } = statement;
    expect(refusal(JSON.stringify({ Statement: body }), "identity")).toBe("accepted");
    expect(refusal(JSON.stringify({ Statement: { ...body, Principal } }), "identity")).toBe(
      "Statement[0].Principal: an identity policy names no principal",
    );
    expect(refusal(JSON.stringify({ Statement: { ...body, Action: "s3:*" } }), "identity")).toBe("accepted");
  });

  it("never leads to another error, whatever it is", () => {
    const members = [
      ...["Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "Resource"],
      ...["NotAction", "NotResource", "Condition", "AWS", "Service", "__proto__", "constructor", "toString"],
      ...[
        "StringEquals",
        "ForAllValues:StringLike",
        "ForAnyValue:ArnLike",
        "NumericLessThanIfExists",
        "Null",
      ],
      ...["DateGreaterThan", "IpAddress", "BinaryEquals", "Bool", "aws:SourceIp", "aws:PrincipalTag/a"],
      ...["kms:EncryptionContext:a", "aws:TagKeys", "kms:"],
    ];
    const values = [
      ...["*", "Allow", "Deny", "kms:*", "2012-10-17", "111122223333", "arn:aws:kms:::", "", "true", "7"],
      ...[
        "\u0024{a}",
        "\u0024{aws:username}",
        "\u0024{aws:username, 'x'}",
        "\u0024{*}",
        "\u0024{",
        "10.0.0.0/8",
        "::1/",
      ],
      ...["2026-01-01", "arn:aws:s3:::\u0024{aws:username}", "AA==", "arn:*:*:*:*:*"],
    ];
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "medium", withCrossShrink: true },
        fc.constantFrom<unknown>(...values, null, 7, true),
        fc.string(),
        fc.array(tie("tree"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...members), tie("tree"), { maxKeys: 5 }),
      ),
    }));
    const close = fc.tuple(fc.constantFrom(...members), tree).map(([name, value]) => one({ [name]: value }));
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc.oneof(tree, close).map((value) => JSON.stringify(value)),
      fc.tuple(close, fc.nat(), fc.string({ maxLength: 3 })).map(([value, place, noise]) => {
        const text = JSON.stringify(value);
        const at = place % text.length;
        return text.slice(0, at) + noise + text.slice(at + 1);
      }),
    );
    fc.assert(
      fc.property(
        texts,
        fc.constantFrom("key" as const, "identity" as const, "trust" as const),
        (text, kind) => {
          expect(typeof refusal(text, kind)).toBe("string");
        },
      ),
      { numRuns: 10_000 },
    );
    for (const deep of ["[", '{"Statement":']) expect(refusal(deep.repeat(5000))).toMatch(/^the policy: /);
    expect(refusal("[".repeat(10_000) + "]".repeat(10_000))).toBe(
      "the policy: is not JSON: it nests deeper than 100, at position 100",
    );
  });
});

describe("a variable", () => {
  const long = "a".repeat(8192);
  function ask(operator: string, value: string, seen: string) {
    const Condition = { [operator]: { "aws:UserAgent": value } };
    const statement = { Effect: "Allow", Principal: "*", Action: "*", Resource: "*", Condition };
    const keyPolicy = compile({ Version: "2012-10-17", Statement: statement });
    let lookups = 0;
    const context = (key: string) => {
      if (key === "aws:useragent") return [seen];
      lookups++;
      return [long];
    };
    const about = { principal: principal("backup.amazonaws.com"), account: ACCOUNT, context };
    const { allowed } = decide({ ...about, action: "kms:Encrypt", resource: KEY, keyPolicy });
    return { allowed, lookups };
  }
  const many = "\u0024{kms:EncryptionContext:a}".repeat(1000);

  it.each(["StringEquals", "StringLike", "StringEqualsIgnoreCase"])(
    "that stands for much, many times, is put in no oftener than it could fit: %s",
    (operator) => {
      expect(ask(operator, many, "a")).toEqual({ allowed: false, lookups: 1 });
      expect(ask(operator, many, long.repeat(2)).lookups).toBeLessThan(6);
      expect(ask(operator, `${many}*`.slice(0, 2 * 26), long.repeat(2))).toEqual({
        allowed: true,
        lookups: 2,
      });
    },
  );

  it("is as long as it may be and still quick to read", () => {
    const texts = [
      "\u0024{",
      "\u0024{a:".repeat(9000),
      `\u0024{a:${"b".repeat(30_000)}`,
      `\u0024{a:b, '${"c".repeat(30_000)}`,
    ];
    for (const text of texts)
      expect(() => ask("StringEquals", text, "a")).toThrow(/begins no variable|too many/);
  });
});

describe("the lockout check", () => {
  const keyPolicy = compile({
    Statement: {
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/admin` },
      Action: ["kms:Put*", "kms:Get*"],
      Resource: "*",
    },
  });
  const about = { resource: KEY, account: ACCOUNT, keyPolicy };
  const check = (arn: string) => () => lockoutCheck({ ...about, principal: principal(arn) });

  it("lets pass who may change the policy afterwards", () => {
    expect(check("arn:aws:iam::111122223333:role/admin")).not.toThrow();
    expect(check("arn:aws:sts::111122223333:assumed-role/admin/alice")).not.toThrow();
  });

  it("asks in the circumstances of the request, whatever kind of object has them", () => {
    const deny = { Effect: "Deny", Principal: "*", Action: "*", Resource: "*" };
    const Condition = { NotIpAddress: { "aws:SourceIp": "192.0.2.0/24" } };
    const allow = { ...deny, Effect: "Allow" };
    class Asked {
      principal = principal("arn:aws:iam::111122223333:role/admin");
      resource = KEY;
      account = ACCOUNT;
      keyPolicy = compile({ Statement: [allow, { ...deny, Condition }] });
      address: string;
      constructor(address: string) {
        this.address = address;
      }
      context(key: string) {
        return key === "aws:sourceip" ? [this.address] : undefined;
      }
    }
    expect(() => lockoutCheck(new Asked("192.0.2.7"))).not.toThrow();
    expect(() => lockoutCheck(new Asked("198.51.100.7"))).toThrow(/will not allow you to update/);
  });

  it.each(["arn:aws:iam::111122223333:role/team/app", "arn:aws:iam::111122223333:root"])(
    "stops %s",
    (arn) => {
      expect(check(arn)).toThrow(
        expect.objectContaining({
          name: "MalformedPolicyDocumentException",
          message: "The new key policy will not allow you to update the key policy in the future.",
        }),
      );
    },
  );
});

it("the default key policy leaves the key to its account", () => {
  const keyPolicy = compilePolicy(defaultKeyPolicy(ACCOUNT));
  const about = { action: "kms:Decrypt", resource: KEY, account: ACCOUNT, keyPolicy };
  const allowed = (arn: string) => decide({ ...about, principal: principal(arn) }).allowed;
  expect(allowed("arn:aws:iam::111122223333:root")).toBe(true);
  expect(allowed("arn:aws:iam::111122223333:user/bob")).toBe(false);
  expect(allowed("arn:aws:iam::444455556666:root")).toBe(false);
});
