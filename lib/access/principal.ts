/** Who asks. */
export interface Principal {
  /** A service has no ARN: then it is the service's name, `backup.amazonaws.com`. */
  readonly arn: string;
  /** Of a service: the account that it acts for; empty when that is none. */
  readonly account: string;
  readonly type: "Account" | "User" | "FederatedUser" | "Role" | "AssumedRole" | "Service";
  /** Of the user or role, where it is kept here: unique for good, while names are given anew. */
  readonly principalId?: string;
  /** The role behind a session, path and all, where it is known: a session's ARN lacks the path. */
  readonly roleArn?: string;
  /** Those of the user or role, and of the session. */
  readonly tags?: Readonly<Record<string, string>>;
}

const identity = /^arn:aws:iam::([0-9]{12}):(root|user\/[\w+=,.@/-]+|role\/[\w+=,.@/-]+)$/;
const session = /^arn:aws:sts::([0-9]{12}):(assumed-role\/[\w+=,.@-]+|federated-user)\/[\w+=,.@-]{2,64}$/;
const service = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com$/;

/**
 * Reads the ARN of an account's root, a user, a role, a role's session or a federated user, or the name of a
 * service; undefined for anything else.
 */
export function parsePrincipal(arn: string): Principal | undefined {
  if (arn.length > 2048) return undefined;
  const [, account, name] = identity.exec(arn) ?? [];
  if (account !== undefined && name !== undefined) {
    const type = name === "root" ? "Account" : name.startsWith("user/") ? "User" : "Role";
    return { arn, account, type };
  }
  const [, holder, kind] = session.exec(arn) ?? [];
  if (holder !== undefined)
    return { arn, account: holder, type: kind === "federated-user" ? "FederatedUser" : "AssumedRole" };
  return service.test(arn) ? { arn, account: "", type: "Service" } : undefined;
}

/**
 * How a statement's Principal or a grant takes in a caller: by precisely this ARN; as one of several (all sessions
 * of a role, everyone); or as one of an account that is left the choice (then an identity policy must allow too).
 */
export type Reach = "precisely" | "among others" | "through its account" | undefined;

/** How the ARNs of a role's sessions begin. They lack its path: names of roles are unique without it. */
export const sessionsOf = ({ account, arn }: Principal): string =>
  `arn:aws:sts::${account}:assumed-role/${arn.slice(arn.lastIndexOf("/") + 1)}/`;

/** What a session is found by where its role is named: the role's ARN, or failing that how its own ARN begins. */
export const roleBehind = ({ arn, roleArn }: Principal): string =>
  roleArn ?? arn.slice(0, arn.lastIndexOf("/") + 1);

/**
 * Whether a name means its bearer: not whoever has it after the one that it was written for, as in AWS, where else to
 * make a user or role anew would be to inherit.
 */
export const isMeant = (id: string | undefined, { principalId }: Principal): boolean =>
  id === undefined || id === principalId;

/** The Principal element of a statement, or its NotPrincipal. */
export class Principals {
  #everyone = false;
  readonly #accounts = new Set<string>();
  /** ARNs, names of services, and how the ARNs of the sessions of roles begin; with the id of whom they mean, if known. */
  readonly #names = new Map<string, string | undefined>();

  addEveryone(): void {
    this.#everyone = true;
  }

  add(principal: Principal, id?: string): void {
    if (principal.type === "Account") this.#accounts.add(principal.account);
    else this.#names.set(principal.arn, id);
    if (principal.type === "Role") this.#names.set(sessionsOf(principal), id);
  }

  #has(name: string, principal: Principal): boolean {
    return this.#names.has(name) && isMeant(this.#names.get(name), principal);
  }

  reach(principal: Principal): Reach {
    const { arn, account, type } = principal;
    if (this.#has(arn, principal)) return type === "Role" ? "among others" : "precisely";
    if (this.#everyone) return "among others";
    if (type === "AssumedRole" && this.#has(roleBehind(principal), principal)) return "among others";
    if (!this.#accounts.has(account)) return undefined;
    return type === "Account" ? "precisely" : "through its account";
  }

  /**
   * As NotPrincipal: whether all that the caller is, its account, its role and itself, is listed. AWS asks for that,
   * since a caller can do no more than its role, and the role no more than the account.
   */
  excepts(principal: Principal): boolean {
    const { arn, account, type } = principal;
    if (this.#everyone) return true;
    if (type === "Service") return this.#has(arn, principal);
    if (!this.#accounts.has(account)) return false;
    if (type === "Account") return true;
    return (
      this.#has(arn, principal) && (type !== "AssumedRole" || this.#has(roleBehind(principal), principal))
    );
  }
}
