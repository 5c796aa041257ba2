import { createHmac, timingSafeEqual } from "node:crypto";
import { InvalidMarkerException } from "./errors.ts";

export { grantToken, readGrantToken } from "./marker/grant-token.ts";

const TAG_BYTES = 16;

/**
 * The markers of paginated answers: the last name of a page, authenticated together with the list it belongs
 * to, so that a marker opens no other list and none can be made up. Opaque to callers.
 */
export class Markers {
  readonly #secret: Uint8Array;

  /** Every process that serves the same store has the same secret. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** `list` names the operation and whatever narrows its list. */
  write(list: string, last: string): string {
    return Buffer.concat([this.#tag(list, last), Buffer.from(last)]).toString("base64url");
  }

  /** The last name of the page before, undefined at the beginning. */
  read(list: string, marker: string | undefined): string | undefined {
    if (marker === undefined) return undefined;
    const last = this.open(list, marker);
    if (last === undefined)
      throw new InvalidMarkerException("The marker is not one that this operation has given.");
    return last;
  }

  /** What was written for this list; undefined for what was not. */
  open(list: string, marker: string): string | undefined {
    const bytes = Buffer.from(marker, "base64url");
    const last = bytes.toString("utf8", TAG_BYTES);
    const tag = bytes.subarray(0, TAG_BYTES);
    // Of the texts that decode to the same bytes, only one was given.
    const given = tag.length === TAG_BYTES && bytes.toString("base64url") === marker;
    return given && timingSafeEqual(tag, this.#tag(list, last)) ? last : undefined;
  }

  /** A page of at most `limit` rows out of `limit + 1` that were asked for, and the marker of the next. */
  page<Row>(list: string, rows: Row[], limit: number, name: (row: Row) => string) {
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    if (rows.length <= limit || last === undefined) return { page, next: { Truncated: false } };
    return { page, next: { Truncated: true, NextMarker: this.write(list, name(last)) } };
  }

  #tag(list: string, last: string): Buffer {
    const hmac = createHmac("sha256", this.#secret);
    return hmac.update(`${list.length} ${list}${last}`).digest().subarray(0, TAG_BYTES);
  }
}
