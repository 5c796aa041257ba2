import { describe, expect, it } from "vitest";
import { operations } from "../lib/operations.ts";
import type { Shape } from "../lib/shape.ts";
import json from "./vectors/aws-kms-model.json" with { type: "json" };

/** The surface is AWS's: each operation of the table is compared with the public model, in all it says. */
interface Reference {
  shape: string;
}
/** What a shape is made of: other shapes, or references to them. */
interface Inner<P> {
  members?: Record<string, P>;
  required?: readonly string[];
  member?: P;
  key?: P;
  value?: P;
}
interface ModelOperation {
  input?: Reference;
  output?: Reference;
  errors: Reference[];
}
const model = json as unknown as {
  operations: Record<string, ModelOperation>;
  shapes: Record<string, Inner<Reference>>;
};

const rules = ["type", "min", "max", "pattern", "enum", "sensitive"] as const;

/** The same form for the model's shapes and ours: all that constrains, and nothing that documents. */
function normal<S extends Inner<P>, P>(shape: S, within: (part: P) => unknown): object {
  const constraints = Object.entries(shape).filter(([name]) => (rules as readonly string[]).includes(name));
  const { member, key, value, members, required = [] } = shape;
  const form: Record<string, unknown> = Object.fromEntries(constraints);
  for (const [name, part] of Object.entries({ member, key, value }))
    if (part !== undefined) form[name] = within(part);
  if (members === undefined) return form;
  const parts = Object.entries(members).map(([name, part]) => [name, within(part)]);
  return { ...form, members: Object.fromEntries(parts), required: required.toSorted() };
}

function ofModel({ shape }: Reference): object {
  const found = model.shapes[shape];
  if (found === undefined) throw new Error(`the model has no shape '${shape}'`);
  return normal(found, ofModel);
}

const ours = (shape: Shape): object => normal(shape as Inner<Shape>, ours);

const nothing = { type: "structure", members: {}, required: [] };
const names = Object.keys(model.operations) as (keyof typeof operations)[];

it("has all operations of the model, and no other", () => {
  expect(Object.keys(operations).toSorted()).toEqual(names.toSorted());
  expect(names.length).toBe(54);
});

describe.each(names)("%s", (name) => {
  const row = operations[name];
  const modelled = model.operations[name] as ModelOperation;
  const { input, output, errors }: { input: Shape; output?: Shape; errors: readonly string[] } = row;

  it("takes what the model says", () => {
    expect(row.name).toBe(name);
    expect(ours(input)).toEqual(modelled.input ? ofModel(modelled.input) : nothing);
  });

  it("answers what the model says", () => {
    expect(output ? ours(output) : nothing).toEqual(modelled.output ? ofModel(modelled.output) : nothing);
  });

  it("names the errors that the model does", () => {
    expect([...errors].sort()).toEqual(modelled.errors.map(({ shape }) => shape).sort());
  });
});

it("the comparison sees each kind of difference", () => {
  const tags = ofModel({ shape: "TagList" });
  expect(tags).toEqual({
    type: "list",
    member: {
      type: "structure",
      members: {
        TagKey: { type: "string", min: 1, max: 128 },
        TagValue: { type: "string", min: 0, max: 256 },
      },
      required: ["TagKey", "TagValue"],
    },
  });
  expect(ofModel({ shape: "PlaintextType" })).toEqual({ type: "blob", min: 1, max: 4096, sensitive: true });
  expect(ofModel({ shape: "BackingKeyIdType" })).toMatchObject({ pattern: "^[a-f0-9]+$" });
  expect(ofModel({ shape: "DataKeySpec" })).toMatchObject({ enum: ["AES_256", "AES_128"] });
  expect(ofModel({ shape: "EncryptionContextType" })).toEqual({
    type: "map",
    key: { type: "string" },
    value: { type: "string" },
  });
});
