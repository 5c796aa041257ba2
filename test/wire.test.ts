import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AccessDeniedException,
  InvalidCiphertextException,
  KmsError,
  NotFoundException,
} from "../lib/errors.ts";
import { parseJson } from "../lib/json.ts";
import type { Operation } from "../lib/operation.ts";
import { operations } from "../lib/operations.ts";
import { decode, encode } from "../lib/server/codec.ts";
import { BODY_LIMIT } from "../lib/server/options.ts";
import { isJson, nameOfTarget, readInput, writeError, writeOutput } from "../lib/server/wire.ts";
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

const everything = structure({
  Text: string(),
  Count: integer(),
  Flag: boolean,
  When: timestamp,
  Bytes: blob(),
  Names: list(string()),
  Blobs: list(blob()),
  Pairs: map(string(), string()),
  Times: map(string(), timestamp),
  Within: structure({ Bytes: blob(), Deeper: structure({ When: timestamp }) }),
});

const read = (body: string | Uint8Array, operation: Operation = operations.Encrypt as never) =>
  readInput(operation, Buffer.from(body as string));

/** What reading is refused with. */
function refused(body: string | Uint8Array, operation?: Operation): string {
  try {
    read(body, operation);
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return expect.fail("was not refused");
}

describe("values on the wire", () => {
  const value = {
    Text: 'a "b"\\ \u2028 ሴ🔑\n',
    Count: -12,
    Flag: false,
    When: new Date(1_700_000_000_123),
    Bytes: new Uint8Array([0, 255, 62, 63]),
    Names: ["", "x"],
    Blobs: [new Uint8Array([1]), new Uint8Array([2, 3])],
    Pairs: { a: "b", "": "", constructor: "c" },
    Times: { once: new Date(0) },
    Within: { Bytes: new Uint8Array(0), Deeper: { When: new Date(-1500) } },
  };
  const json =
    '{"Text":"a \\"b\\"\\\\ \u2028 ሴ🔑\\n","Count":-12,"Flag":false,"When":1700000000.123,"Bytes":"AP8+Pw==",' +
    '"Names":["","x"],"Blobs":["AQ==","AgM="],"Pairs":{"a":"b","":"","constructor":"c"},"Times":{"once":0},' +
    '"Within":{"Bytes":"","Deeper":{"When":-1.5}}}';

  test("are bytes in base64 and times in seconds", () => {
    expect(encode(everything, value)).toBe(json);
    const back = decode(everything, JSON.parse(json));
    expect(back).toEqual({
      ...value,
      Bytes: Buffer.from(value.Bytes),
      Blobs: value.Blobs.map((each) => Buffer.from(each)),
      Within: { ...value.Within, Bytes: Buffer.alloc(0) },
    });
  });

  test("are times to the millisecond", () => {
    for (const When of [new Date(-1_066_000_009_059), new Date(1_700_000_000_001), new Date(-8.64e15)])
      expect(decode(everything, JSON.parse(encode(everything, { When })))).toEqual({ When });
  });

  test("leave out what is undefined, null or unknown", () => {
    expect(encode(everything, { Text: undefined, Count: null, $metadata: {}, Other: 1 })).toBe("{}");
    expect(decode(everything, { Text: null, Unknown: { a: [1] } })).toEqual({
      Text: null,
      Unknown: { a: [1] },
    });
  });

  test("keep a member named __proto__ a member", () => {
    const { EncryptionContext } = read('{"EncryptionContext":{"__proto__":"a"}}') as {
      EncryptionContext: object;
    };
    expect(Object.entries(EncryptionContext)).toEqual([["__proto__", "a"]]);
    expect(Object.getPrototypeOf(EncryptionContext)).toBe(Object.prototype);
  });

  const members: Record<string, fc.Arbitrary<unknown>> = {
    Text: fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
    Count: fc.integer(),
    Flag: fc.boolean(),
    When: fc.date({ noInvalidDate: true }),
    Bytes: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    Names: fc.array(fc.string()),
    Blobs: fc.array(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
    Pairs: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
  };
  test("come back as they went", () => {
    const shape = structure(
      Object.fromEntries(Object.keys(members).map((name) => [name, everything.members[name as "Text"]])),
    );
    fc.assert(
      fc.property(fc.record(members, { requiredKeys: [] }), (given) => {
        expect(decode(shape, parseJson(encode(shape, given)))).toEqual(given);
      }),
    );
  });
});

describe("a body", () => {
  test("may be empty, which is an empty input", () => {
    expect(read("")).toEqual({});
    expect(read("{}")).toEqual({});
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["that is no JSON", "not json", /is not valid JSON/],
    ["that ends too soon", '{"KeyId":"a"', /is not valid JSON/],
    ["with more behind it", '{"KeyId":"a"}}', /is not valid JSON/],
    ["with a BOM", "\ufeff{}", /is not valid JSON/],
    ["with a member twice", '{"KeyId":"a","KeyId":"b"}', /names a member twice/],
    ["with a member twice, in other letters", '{"KeyId":"a","K\\u0065yId":"b"}', /names a member twice/],
    ["with a pair of the context twice", '{"EncryptionContext":{"a":"1","a":"2"}}', /names a member twice/],
    ["with a member twice in what is not known", '{"x":[{"y":{"a":1,"a":2}}]}', /names a member twice/],
    ["that nests deeply", `{"x":${"[".repeat(200)}${"]".repeat(200)}}`, /is not valid JSON/],
    ["that nests very deeply", "[".repeat(500_000), /is not valid JSON/],
    ["that nests very deeply, in order", `${"[".repeat(500_000)}${"]".repeat(500_000)}`, /is not valid JSON/],
    ["that is no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), /not valid UTF-8/],
    ["with a surrogate in UTF-8", Buffer.from('{"KeyId":"\xed\xa0\x80"}', "latin1"), /not valid UTF-8/],
    ["that is a list", "[]", /Start of list found where not expected/],
    ["that is a text", '"a"', /STRING_VALUE can not be converted to a Structure/],
    ["that is null", "null", /NULL_VALUE can not be converted to a Structure/],
    ["with a number for a text", '{"KeyId":1}', /NUMBER_VALUE can not be converted to a String/],
    ["with an object for a text", '{"KeyId":{}}', /Start of structure or map found where not expected\./],
    ["with a list for a map", '{"EncryptionContext":[]}', /Start of list found where not expected/],
    ["with a text for a list", '{"GrantTokens":"a"}', /STRING_VALUE can not be converted to a List/],
    [
      "with a number within a list",
      '{"GrantTokens":["a",1]}',
      /NUMBER_VALUE can not be converted to a String/,
    ],
    ["with a text for a boolean", '{"DryRun":"true"}', /STRING_VALUE can not be converted to a Boolean/],
    ["with a truth for a text", '{"KeyId":true}', /TRUE_VALUE can not be converted to a String/],
    ["with a number for bytes", '{"Plaintext":1}', /NUMBER_VALUE can not be converted to a Blob/],
    ["with bytes that are no base64", '{"Plaintext":"a!b="}', /not valid base64/],
    ["with bytes in the base64 of URLs", '{"Plaintext":"_-__"}', /not valid base64/],
    ["with bytes whose base64 is cut off", '{"Plaintext":"AAA"}', /not valid base64/],
    ["with spaces in its base64", '{"Plaintext":"AA AA"}', /not valid base64/],
    ["with padding within its base64", '{"Plaintext":"AA==AAAA"}', /not valid base64/],
  ])("%s is refused", (_, body, error) => {
    const answer = refused(body);
    expect(answer).toMatch(/^SerializationException: /);
    expect(answer).toMatch(error);
  });

  test("never shows what was in it", () => {
    const canary = "c4n4ry";
    for (const body of [
      `{"Plaintext":"${canary}"`,
      `{"Plaintext":"${canary}!"}`,
      `{"KeyId":{"a":"${canary}"}}`,
      `${canary}`,
      `{"${canary}":1,"${canary}":2}`,
    ])
      expect(refused(body)).not.toContain(canary);
  });

  test("with a time that is none is refused", () => {
    expect(() => decode(everything, { When: "2026-01-01" })).toThrow(
      /STRING_VALUE can not be converted to a Timestamp/,
    );
    expect(() => decode(everything, { When: 1e300 })).toThrow(/out of range/);
  });

  test("whatever it is, is read or refused in order", { timeout: 60_000 }, () => {
    const names = Object.keys(operations) as (keyof typeof operations)[];
    const json = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.tuple(fc.constantFrom(...names), fc.jsonValue()).map(([name, value]) => {
        const members = Object.keys(operations[name].input.members);
        return JSON.stringify(Object.fromEntries(members.map((member) => [member, value])));
      }),
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      json.map((text) => Buffer.from(text)),
      fc.tuple(json, fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
        const broken = Buffer.from(text);
        broken[at % broken.length] = byte;
        return broken;
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...names), bytes, (name, body) => {
        const operation = operations[name] as unknown as Operation;
        try {
          validate(operation.input, readInput(operation, body));
        } catch (error) {
          expect((error as Error).name).toMatch(/^(Serialization|Validation)Exception$/);
        }
      }),
      { interruptAfterTimeLimit: 8_000, numRuns: 20_000 },
    );
  });
});

test("the largest input that the shapes bound fits into a body", () => {
  /** Bytes of JSON at most; what has no bound counts as nothing. */
  const most = (shape: Shape): number => {
    if (shape.type === "string")
      return 2 + 6 * Math.max(0, ...(shape.enum ?? []).map((each) => each.length), shape.max ?? 0);
    if (shape.type === "blob") return 2 + 4 * Math.ceil((shape.max ?? 0) / 3);
    if (shape.type === "list") return 2 + (shape.max ?? 0) * (1 + most(shape.member));
    if (shape.type === "map") return 2;
    if (shape.type !== "structure") return 24;
    return Object.entries(shape.members).reduce((sum, [name, each]) => sum + name.length + 4 + most(each), 2);
  };
  const sizes = Object.values(operations).map(({ input }) => most(input));
  expect(Math.max(...sizes)).toBeGreaterThan(500_000);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(BODY_LIMIT);
});

describe("answers", () => {
  test("of operations without an output are empty", () => {
    const empty = Object.values(operations).filter(({ output }) => output === undefined);
    expect(empty.length).toBeGreaterThan(0);
    for (const operation of empty) expect(writeOutput(operation as never, { $metadata: {} })).toBe("");
  });

  test("that are errors have AWS's spelling", () => {
    expect(writeError(new NotFoundException("Alias a is not found."))).toBe(
      '{"__type":"NotFoundException","message":"Alias a is not found."}',
    );
    expect(writeError(new AccessDeniedException("no"))).toBe(
      '{"__type":"AccessDeniedException","Message":"no"}',
    );
    expect(writeError(new InvalidCiphertextException())).toBe('{"__type":"InvalidCiphertextException"}');
  });
});

test("an operation is named by its target alone", () => {
  expect(nameOfTarget("TrentService.Encrypt")).toBe("Encrypt");
  for (const target of [undefined, "", "Encrypt", "DynamoDB_20120810.GetItem", "trentservice.Encrypt"])
    expect(nameOfTarget(target)).toBe("");
});

test.each([
  ["application/x-amz-json-1.1", true],
  ["application/x-amz-json-1.0", true],
  ["Application/X-Amz-Json-1.1; charset=utf-8", true],
  ["application/x-amz-json-1.2", false],
  ["application/x-amz-json-1.11", false],
  ["application/json", false],
  ["text/plain", false],
  ["", false],
  [undefined, false],
])("content type %s", (type, spoken) => {
  expect(isJson(type)).toBe(spoken);
});

describe("JSON with bounds", () => {
  test.each([
    '{"a":1,"a":2}',
    '[{"b":{"c":1,"c":1}}]',
    '{"\\u0061":1,"a":2}',
    '{"":1,"":2}',
    '{"a\\\\":1,"a\\\\":2}',
  ])("%s names a member twice", (text) => {
    expect(() => parseJson(text)).toThrow(/is there twice/);
  });

  test.each([
    '{"a":1,"b":1}',
    '[{"a":1},{"a":1}]',
    '{"a":{"a":"a"}}',
    '{"a":["a","a"]}',
    '{"a":"\\",\\"a\\":1"}',
    '["{\\"a\\":1,\\"a\\":2}"]',
  ])("%s does not", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  test("agrees with JSON.parse on all that names no member twice", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });
});
