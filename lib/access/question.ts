import type { Grant, GrantIndex } from "./grants.ts";
import type { Policy } from "./policy.ts";
import type { Principal } from "./principal.ts";

/**
 * The values of a condition key, which is given in lower case; undefined where the request has none. Keys that
 * follow from the caller and the resource are never asked for: see `condition-keys.ts`.
 */
export type Context = (key: string) => readonly string[] | undefined;

/** What conditions and policy variables look at. */
export interface Circumstances {
  readonly principal: Principal;
  /** The account that the resource belongs to. */
  readonly account: string;
  readonly context?: Context;
}

/** May this caller do this, to this, now? */
export interface AccessRequest extends Circumstances {
  /** Such as `kms:Encrypt`. */
  readonly action: string;
  /** The ARN of a key or of an alias, or `*` for what concerns the account as a whole. */
  readonly resource: string;
  /** The policy of the key that `resource` names. A key without one is open to nobody. */
  readonly keyPolicy?: Policy;
  /** The policies of the caller. */
  readonly identityPolicies?: readonly Policy[];
  /** What else must allow, and can only narrow. */
  readonly layers?: readonly Layer[];
  /** The grants on the key that `resource` names. */
  readonly grants?: GrantIndex;
  /** Exactly as the request has it: grant constraints heed case, condition keys do not. */
  readonly encryptionContext?: Readonly<Record<string, string>>;
  /** For CreateGrant: what is to be granted. Without it no grant allows to make another. */
  readonly granting?: Pick<Grant, "operations" | "constraints">;
  /** For RetireGrant: the grant that is to go. It says who may; key policies do not. */
  readonly retiring?: Grant;
}

/**
 * Policies of which one must allow. Each level of an organisation is a layer of its own. A permissions boundary or
 * session policy does not take away what a key policy or grant gives to precisely this user or session: so AWS.
 */
export interface Layer {
  readonly kind: "service control policy" | "permissions boundary" | "session policy";
  readonly policies: readonly Policy[];
}
