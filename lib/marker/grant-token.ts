import { randomUUID } from "node:crypto";
import { InvalidGrantTokenException } from "../errors.ts";
import type { Markers } from "../marker.ts";

/** The grant that a token stands for. */
export interface TokenContent {
  readonly keyArn: string;
  readonly grantId: string;
}

const list = (region: string) => `grant token ${region}`;

/** A token for a grant: authentic, opaque, and another each time. It holds for as long as the grant does. */
export function grantToken(markers: Markers, region: string, { keyArn, grantId }: TokenContent): string {
  return markers.write(list(region), `${keyArn} ${grantId} ${randomUUID()}`);
}

/** Throws `InvalidGrantTokenException` for a token that was not given in this Region. */
export function readGrantToken(markers: Markers, region: string, token: string): TokenContent {
  const [keyArn, grantId] = markers.open(list(region), token)?.split(" ") ?? [];
  if (keyArn === undefined || grantId === undefined)
    throw new InvalidGrantTokenException("The grant token is not one that CreateGrant has given.");
  return { keyArn, grantId };
}
