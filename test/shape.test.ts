import { describe, expect, it } from "vitest";
import { KmsError } from "../lib/errors.ts";
import {
  blob,
  boolean,
  integer,
  list,
  map,
  type Shape,
  string,
  structure,
  timestamp,
  validate,
} from "../lib/shape.ts";
import * as kms from "../lib/shapes.ts";

function refusal(shape: Shape, value: unknown): string {
  try {
    validate(shape, value);
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
    return `${error}`;
  }
  return "accepted";
}

const encrypt = structure(
  {
    KeyId: kms.KeyIdType,
    Plaintext: kms.PlaintextType,
    EncryptionContext: kms.EncryptionContextType,
    GrantTokens: kms.GrantTokenList,
    EncryptionAlgorithm: kms.EncryptionAlgorithmSpec,
    DryRun: kms.NullableBooleanType,
  },
  ["KeyId", "Plaintext"],
);
const valid = { KeyId: "alias/orders", Plaintext: new Uint8Array(16), EncryptionContext: { tenant: "7" } };
const detected = (count: number) =>
  `ValidationException: ${count} validation error${count > 1 ? "s" : ""} detected: `;
const bad = (where: string, constraint: string) => `${where} failed to satisfy constraint: ${constraint}`;

describe("a valid value", () => {
  it("is returned as it is", () => {
    expect(validate(encrypt, valid)).toBe(valid);
    expect(validate(encrypt, { ...valid, GrantTokens: ["t"], DryRun: false })).toBeTruthy();
  });

  it("may have members that the shape does not know", () => {
    expect(validate(encrypt, { ...valid, Plaintextt: 1 })).toBeTruthy();
  });

  it.each([null, undefined])("may have %s for an optional member", (nothing) => {
    expect(validate(encrypt, { ...valid, EncryptionContext: nothing, DryRun: nothing })).toBeTruthy();
  });

  it("may lie on any bound", () => {
    for (const size of [1, 4096]) validate(kms.PlaintextType, new Uint8Array(size));
    for (const days of [1, 365]) validate(kms.PendingWindowInDaysType, days);
    for (const length of [0, 8192]) validate(kms.DescriptionType, "é".repeat(length));
    validate(kms.GrantTokenList, Array(10).fill("t"));
    validate(kms.GrantTokenList, []);
  });

  it("may be a Buffer, a context without prototype or a context from JSON", () => {
    const context = Object.assign(Object.create(null), { a: "b" });
    expect(
      validate(encrypt, { ...valid, Plaintext: Buffer.from("x"), EncryptionContext: context }),
    ).toBeTruthy();
    expect(
      validate(encrypt, {
        ...valid,
        EncryptionContext: JSON.parse('{"__proto__": "x", "constructor": "y"}'),
      }),
    ).toBeTruthy();
  });
});

describe("a constraint that does not hold", () => {
  const numbers = structure({ NumberOfBytes: kms.NumberOfBytesType });
  const tags = structure({ Tags: kms.TagList });

  it.each<[string, Shape, unknown, string]>([
    [
      "a number too large",
      numbers,
      { NumberOfBytes: 1025 },
      bad("Value '1025' at 'numberOfBytes'", "Member must have value less than or equal to 1024"),
    ],
    [
      "a number too small",
      numbers,
      { NumberOfBytes: 0 },
      bad("Value '0' at 'numberOfBytes'", "Member must have value greater than or equal to 1"),
    ],
    [
      "a text too short",
      encrypt,
      { ...valid, KeyId: "" },
      bad("Value '' at 'keyId'", "Member must have length greater than or equal to 1"),
    ],
    [
      "a text too long",
      structure({ AliasName: kms.AliasNameType }),
      { AliasName: "a".repeat(257) },
      bad(`Value '${"a".repeat(257)}' at 'aliasName'`, "Member must have length less than or equal to 256"),
    ],
    [
      "a blob too long, without its bytes",
      encrypt,
      { ...valid, Plaintext: new Uint8Array(4097).fill(65) },
      bad("Value at 'plaintext'", "Member must have length less than or equal to 4096"),
    ],
    [
      "an empty blob",
      encrypt,
      { ...valid, Plaintext: new Uint8Array(0) },
      bad("Value at 'plaintext'", "Member must have length greater than or equal to 1"),
    ],
    [
      "an enum",
      encrypt,
      { ...valid, EncryptionAlgorithm: "ROT13" },
      bad(
        "Value 'ROT13' at 'encryptionAlgorithm'",
        "Member must satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]",
      ),
    ],
    [
      "a pattern",
      structure({ AliasName: kms.AliasNameType }),
      { AliasName: "alias/a b" },
      bad(
        "Value 'alias/a b' at 'aliasName'",
        "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
      ),
    ],
    [
      "a pattern that the model does not anchor",
      structure({ PolicyName: kms.PolicyNameType }),
      { PolicyName: "default!" },
      bad("Value 'default!' at 'policyName'", "Member must satisfy regular expression pattern: [\\w]+"),
    ],
    [
      "a pattern and a newline at the end",
      structure({ AliasName: kms.AliasNameType }),
      { AliasName: "alias/a\n" },
      bad(
        "Value 'alias/a\n' at 'aliasName'",
        "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
      ),
    ],
    [
      "a missing member",
      encrypt,
      { KeyId: "x" },
      bad("Value null at 'plaintext'", "Member must not be null"),
    ],
    [
      "a member that is null",
      encrypt,
      { ...valid, KeyId: null },
      bad("Value null at 'keyId'", "Member must not be null"),
    ],
    [
      "a member of a list's member",
      tags,
      { Tags: [{ TagKey: "", TagValue: "x" }] },
      bad("Value '' at 'tags.1.member.tagKey'", "Member must have length greater than or equal to 1"),
    ],
    [
      "a missing member of a list's second member",
      tags,
      { Tags: [{ TagKey: "a", TagValue: "x" }, { TagKey: "b" }] },
      bad("Value null at 'tags.2.member.tagValue'", "Member must not be null"),
    ],
    [
      "a list too long",
      structure({ GrantTokens: kms.GrantTokenList }),
      { GrantTokens: Array(11).fill("t") },
      bad("Value at 'grantTokens'", "Member must have length less than or equal to 10"),
    ],
    [
      "null in a list",
      structure({ GrantTokens: kms.GrantTokenList }),
      { GrantTokens: ["t", null] },
      bad("Value null at 'grantTokens.2.member'", "Member must not be null"),
    ],
    [
      "null in a map",
      encrypt,
      { ...valid, EncryptionContext: { tenant: null } },
      bad("Value null at 'encryptionContext.tenant'", "Member must not be null"),
    ],
    [
      "a sensitive text, without the text",
      structure({ Password: string({ max: 3, pattern: "a*", sensitive: true }) }),
      { Password: "aaaa" },
      bad("Value at 'password'", "Member must have length less than or equal to 3"),
    ],
  ])("%s", (_what, shape, value, text) => {
    expect(refusal(shape, value)).toBe(detected(1) + text);
  });

  it("is told together with the others", () => {
    expect(refusal(encrypt, { KeyId: "", GrantTokens: [""] })).toBe(
      `${detected(3)}${[
        bad("Value '' at 'keyId'", "Member must have length greater than or equal to 1"),
        bad("Value null at 'plaintext'", "Member must not be null"),
        bad("Value '' at 'grantTokens.1.member'", "Member must have length greater than or equal to 1"),
      ].join("; ")}`,
    );
    expect(refusal(structure({ Id: string({ max: 2, pattern: "a*" }) }), { Id: "abc" })).toBe(
      `${detected(2)}${bad("Value 'abc' at 'id'", "Member must have length less than or equal to 2")}; ${bad(
        "Value 'abc' at 'id'",
        "Member must satisfy regular expression pattern: a*",
      )}`,
    );
  });
});

it("a great many things wrong take time in proportion", () => {
  const start = performance.now();
  const text = refusal(list(map(string(), string())), [{ a: null }, ...Array(200_000).fill({ b: null })]);
  expect(text.startsWith(`${detected(200_001)}Value null at '1.member.a' failed`)).toBe(true);
  expect(text.endsWith("; and 199981 more")).toBe(true);
  expect(performance.now() - start).toBeLessThan(5000);
});

it("a long text is repeated in part", () => {
  const text = refusal(string({ max: 2048 }), "a".repeat(1_000_000));
  expect(text).toContain(`Value '${"a".repeat(2048)}…' at`);
});

describe("a value of another type", () => {
  const wrong = (what: string) => `SerializationException: ${what}`;

  it.each<[unknown, Shape, string]>([
    [7, string(), "an integer can not be converted to a string at the input"],
    ["7", integer(), "a value of type string can not be converted to an integer at the input"],
    [1.5, integer(), "a number that is not an integer can not be converted to an integer at the input"],
    [
      Number.NaN,
      integer(),
      "a number that is not an integer can not be converted to an integer at the input",
    ],
    [1n, integer(), "a value of type bigint can not be converted to an integer at the input"],
    [1, boolean, "an integer can not be converted to a boolean at the input"],
    ["c2VjcmV0", blob(), "a value of type string can not be converted to a Uint8Array at the input"],
    [
      new ArrayBuffer(8),
      blob(),
      "an object of another class can not be converted to a Uint8Array at the input",
    ],
    [0, timestamp, "an integer can not be converted to a valid Date at the input"],
    [
      new Date(Number.NaN),
      timestamp,
      "an object of another class can not be converted to a valid Date at the input",
    ],
    [
      { length: 1, 0: "t" },
      list(string()),
      "an object of another class can not be converted to an array at the input",
    ],
    [["a"], map(string(), string()), "an array can not be converted to a plain object at the input"],
    [
      new Map(),
      map(string(), string()),
      "an object of another class can not be converted to a plain object at the input",
    ],
    [{ a: 1 }, map(string(), string()), "an integer can not be converted to a string at 'a'"],
    [{ a: "\ud800" }, map(string(), string()), "text with a lone surrogate at 'a'"],
    [{ "\udc00a": "b" }, map(string(), string()), "text with a lone surrogate at '\udc00a'"],
    [null, encrypt, "null can not be converted to an object at the input"],
    [undefined, encrypt, "a value of type undefined can not be converted to an object at the input"],
    [[], encrypt, "an array can not be converted to an object at the input"],
    [{ KeyId: 7 }, encrypt, "an integer can not be converted to a string at 'keyId'"],
    [
      { ...valid, GrantTokens: ["a", {}] },
      encrypt,
      "an object of another class can not be converted to a string at 'grantTokens.2.member'",
    ],
  ])("%# is refused", (value, shape, text) => {
    expect(refusal(shape, value)).toBe(wrong(text));
  });

  it("is not echoed", () => {
    expect(refusal(encrypt, { ...valid, Plaintext: "top secret" })).not.toContain("secret");
    expect(refusal(encrypt, { ...valid, Plaintext: [83, 69] })).not.toContain("83");
  });
});
