import { compilePolicy, type Layer, type Policy, type Principal } from "./access.ts";
import { rootArn } from "./arn.ts";
import { compiledRow } from "./identities/compiled.ts";
import { roleOf } from "./identities/kept.ts";
import { withTags } from "./identities/tags.ts";
import type { PrincipalRow, Soon, Store } from "./store.ts";

export {
  type AccessKey,
  hashOfToken,
  newAccessKey,
  newPrincipalId,
  sessionToken,
} from "./identities/access-key.ts";
export { isKept, lookUp } from "./identities/kept.ts";
export { checkedTags, type GivenTags, withTags } from "./identities/tags.ts";

/** What a caller may by itself, before any key's policy or grant: as it is now. */
export interface Standing {
  /** With the tags of its user or role, and with the role behind a session. */
  readonly principal: Principal;
  readonly policies: readonly Policy[];
  readonly layers: readonly Layer[];
}

/** What a role was assumed with. */
export interface Session {
  /** The ARN of the role. */
  readonly role: string;
  readonly policy?: Policy | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds. */
  readonly issuedAt: number;
}

export interface IdentityOptions {
  /** In place of those that the store has. */
  readonly policies?: readonly Policy[] | undefined;
  /** Besides those that the store has, and before them. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly session?: Session | undefined;
}

/** What a key allows, only its policy says. */
const BESIDE_KEYS = [
  compilePolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "kms:*", NotResource: "arn:aws:kms:*:*:key/*" },
    }),
    "identity",
  ),
];

/**
 * A caller. An account that has a row (as it gets with its first user or role, or a service control policy) is one
 * whose identities are kept here: a user or role that has none is unknown there, and may nothing by itself. The others'
 * are kept elsewhere: key policies speak for each of them, and they may do what no key policy speaks for.
 */
export class Identity {
  /** As audit events name it. */
  readonly principal: Principal;
  readonly session: Session | undefined;
  readonly #store: Store;
  readonly #policies: readonly Policy[] | undefined;
  readonly #tags: Readonly<Record<string, string>> | undefined;
  /** The ARNs of the rows that say what the caller may; undefined where there can be none. */
  readonly #accountArn: string | undefined;
  #ownArn: string | undefined;
  /** For as long as the store hands out the same rows. */
  #standing: Standing | undefined;
  #account: PrincipalRow | undefined;
  #own: PrincipalRow | undefined;

  constructor(store: Store, principal: Principal, { policies, tags, session }: IdentityOptions = {}) {
    this.principal = principal;
    this.session = session;
    this.#store = store;
    this.#policies = policies;
    this.#tags = session?.tags ?? tags;
    if (principal.type === "Service") return;
    this.#accountArn = rootArn(principal.account);
    this.#ownArn = session?.role ?? identityArn(principal);
  }

  /** The same object until something of it changes. */
  standing(): Soon<Standing> {
    const account = rowOf(this.#store, this.#accountArn);
    const own = rowOf(this.#store, this.#ownArn);
    if (account instanceof Promise || own instanceof Promise)
      return Promise.all([account, own]).then((rows) => this.#found(...rows));
    return this.#found(account, own);
  }

  /** A session's ARN lacks the path of its role: nobody has said it where there is no session's record. */
  #found(account: PrincipalRow | undefined, own: PrincipalRow | undefined): Soon<Standing> {
    const { principal, session } = this;
    if (
      own !== undefined ||
      account === undefined ||
      principal.type !== "AssumedRole" ||
      session !== undefined
    )
      return this.#of(account, own);
    return roleOf(this.#store, principal).then(async (role) => {
      if (role !== undefined) this.#ownArn = role.arn;
      return this.#of(account, await rowOf(this.#store, role?.arn));
    });
  }

  #of(account: PrincipalRow | undefined, own: PrincipalRow | undefined): Standing {
    if (this.#standing === undefined || this.#account !== account || this.#own !== own) {
      this.#standing = this.#stand(account, own);
      this.#account = account;
      this.#own = own;
    }
    return this.#standing;
  }

  #stand(account: PrincipalRow | undefined, own: PrincipalRow | undefined): Standing {
    const { principal, session } = this;
    const { policies = [], boundary } = own === undefined ? {} : compiledRow(own);
    const elsewhere = account === undefined && principal.type !== "Account" && principal.type !== "Service";
    const governing = account === undefined ? [] : compiledRow(account).policies;
    const layers: Layer[] = [];
    if (governing.length > 0) layers.push({ kind: "service control policy", policies: governing });
    if (boundary !== undefined) layers.push({ kind: "permissions boundary", policies: [boundary] });
    if (session?.policy !== undefined) layers.push({ kind: "session policy", policies: [session.policy] });
    const tags = withTags(own?.tags ?? {}, this.#tags ?? {});
    const known = principal.type === "AssumedRole" ? (session?.role ?? own?.arn) : undefined;
    return {
      principal: {
        ...principal,
        ...(own !== undefined && { principalId: own.principalId }),
        ...(known !== undefined && { roleArn: known }),
        ...(Object.keys(tags).length > 0 && { tags }),
      },
      policies: this.#policies ?? (elsewhere ? BESIDE_KEYS : policies),
      layers,
    };
  }
}

const rowOf = (store: Store, arn: string | undefined) =>
  arn === undefined ? undefined : store.principal(arn);

/** Whose policies a caller has: its own, or its role's, as if that had no path. */
function identityArn({ arn, account, type }: Principal): string | undefined {
  if (type === "User" || type === "Role") return arn;
  return type === "AssumedRole" ? `arn:aws:iam::${account}:role/${arn.split("/")[1]}` : undefined;
}
