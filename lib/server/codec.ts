import { SerializationException } from "../errors.ts";
import type { Shape, StructureShape } from "../shape.ts";

/**
 * Values of shapes as JSON 1.1 has them (Smithy's "AWS JSON 1.1 protocol"): bytes are base64, times are epoch
 * seconds. A shape is compiled once, on its first use.
 */

/** Turns what `JSON.parse` gave into what the shape's type is, in place. Not called for null. */
type Decode = (value: unknown) => unknown;
type Encode = (value: unknown) => string;

const decoders = new WeakMap<Shape, Decode>();
const encoders = new WeakMap<Shape, Encode>();

/**
 * `value` belongs to the callee and is changed in place. Holds types only, and leaves the rest to `validate`: throws
 * `SerializationException` in AWS's words.
 */
export function decode(shape: StructureShape, value: unknown): object {
  if (value === null || value === undefined) refuse(value, "a Structure");
  return decoderOf(shape)(value) as object;
}

/** Members that the shape does not know, or that are undefined or null, are left out. */
export function encode(shape: StructureShape, value: object): string {
  return encoderOf(shape)(value);
}

function decoderOf(shape: Shape): Decode {
  return decoders.get(shape) ?? kept(decoders, shape, compileDecoder(shape));
}

function encoderOf(shape: Shape): Encode {
  return encoders.get(shape) ?? kept(encoders, shape, compileEncoder(shape));
}

function kept<T>(all: WeakMap<Shape, T>, shape: Shape, one: T): T {
  all.set(shape, one);
  return one;
}

function compileDecoder(shape: Shape): Decode {
  switch (shape.type) {
    case "string":
      return (value) => (typeof value === "string" ? value : refuse(value, "a String"));
    case "integer":
      return (value) => (typeof value === "number" ? value : refuse(value, "an Integer"));
    case "boolean":
      return (value) => (typeof value === "boolean" ? value : refuse(value, "a Boolean"));
    case "timestamp":
      return decodeTimestamp;
    case "blob":
      return decodeBlob;
    case "list": {
      const member = decoderOf(shape.member);
      return (value) => {
        if (!Array.isArray(value)) return refuse(value, "a List");
        for (let at = 0; at < value.length; at++) {
          if (value[at] !== null) value[at] = member(value[at]);
        }
        return value;
      };
    }
    case "map": {
      const member = decoderOf(shape.value);
      return (value) => {
        if (!isObject(value)) return refuse(value, "a Map");
        for (const name of Object.keys(value)) replace(value, name, member);
        return value;
      };
    }
    case "structure": {
      const members = Object.entries(shape.members).map(([name, each]) => [name, decoderOf(each)] as const);
      return (value) => {
        if (!isObject(value)) return refuse(value, "a Structure");
        for (const [name, member] of members) replace(value, name, member);
        return value;
      };
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function replace(value: Record<string, unknown>, name: string, member: Decode): void {
  const found = value[name];
  if (found === undefined || found === null) return;
  const decoded = member(found);
  if (decoded !== found) value[name] = decoded;
}

function decodeTimestamp(value: unknown): Date {
  if (typeof value !== "number") return refuse(value, "a Timestamp");
  // Rounded: 1.001 is a little less than that, and a Date cuts off what is behind milliseconds.
  const time = new Date(Math.round(value * 1000));
  if (Number.isNaN(time.getTime())) throw new SerializationException("A Timestamp is out of range");
  return time;
}

function decodeBlob(value: unknown): Uint8Array {
  if (typeof value !== "string") return refuse(value, "a Blob");
  const bytes = Buffer.from(value, "base64");
  // Node skips what is not base64, and takes that of URLs as well: the bytes are then fewer, or from another text.
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  const whole = value.length % 4 === 0 && bytes.length === (value.length / 4) * 3 - padding;
  if (!whole || value.includes("-") || value.includes("_"))
    throw new SerializationException("A Blob is not valid base64");
  return bytes;
}

/** The words of AWS's deserialiser, which name the token that it met; they hold nothing of the value. */
function refuse(value: unknown, wanted: string): never {
  if (Array.isArray(value)) throw new SerializationException("Start of list found where not expected");
  if (isObject(value))
    throw new SerializationException("Start of structure or map found where not expected.");
  const token = typeof value === "boolean" ? (value ? "TRUE" : "FALSE") : typeof value;
  const met = value === null ? "NULL" : token.toUpperCase();
  throw new SerializationException(`${met}_VALUE can not be converted to ${wanted}`);
}

function compileEncoder(shape: Shape): Encode {
  switch (shape.type) {
    case "string":
      return JSON.stringify;
    case "integer":
    case "boolean":
      return String;
    case "timestamp":
      return (value) => String((value as Date).getTime() / 1000);
    case "blob":
      return (value) => {
        const { buffer, byteOffset, byteLength } = value as Uint8Array<ArrayBuffer>;
        return `"${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}"`;
      };
    case "list": {
      const member = encoderOf(shape.member);
      return (value) => `[${(value as unknown[]).map((each) => member(each)).join(",")}]`;
    }
    case "map": {
      const member = encoderOf(shape.value);
      return (value) => {
        const pairs = Object.entries(value as object);
        return `{${pairs.map(([name, each]) => `${JSON.stringify(name)}:${member(each)}`).join(",")}}`;
      };
    }
    case "structure": {
      const members = Object.entries(shape.members).map(
        ([name, each]) => [name, `${JSON.stringify(name)}:`, encoderOf(each)] as const,
      );
      return (value) => {
        let json = "";
        for (const [name, label, member] of members) {
          const found = (value as Record<string, unknown>)[name];
          if (found === undefined || found === null) continue;
          json += (json === "" ? "{" : ",") + label + member(found);
        }
        return json === "" ? "{}" : `${json}}`;
      };
    }
  }
}
