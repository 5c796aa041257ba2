import type { Fields, RequestHead } from "../sigv4.ts";

export type { Fields } from "../sigv4.ts";

/** An HTTP request, whatever carried it. Text of its head has one character a byte, as on the wire. */
export interface HttpRequest extends RequestHead {
  readonly body: Uint8Array;
  /** Where it came from, as far as that is known. */
  readonly sourceIp: string | undefined;
  /** Whether it came by TLS. */
  readonly secure: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly requestId: string;
  readonly contentType: string;
  readonly body: string;
}

/** Of names and values in turns, as Node has them in `rawHeaders`. */
export function fieldsOf(raw: readonly string[]): Fields {
  const fields = new Map<string, string>();
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase();
    const value = raw[at + 1] as string;
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before},${value}`);
  }
  return fields;
}

/** The headers of every answer besides its own: as AWS KMS has them, for no cache may keep an answer. */
export const HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-cache, no-store, must-revalidate, private",
  Expires: "0",
  Pragma: "no-cache",
};
