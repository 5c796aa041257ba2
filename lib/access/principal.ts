/** Who asks. Tags and the service that asks on someone's behalf come with the conditions that look at them. */
export interface Principal {
  /** A service has no ARN: then it is the service's name, `backup.amazonaws.com`. */
  readonly arn: string;
  /** Empty for a service. */
  readonly account: string;
  readonly type: "Account" | "User" | "Role" | "AssumedRole" | "Service";
}

const identity = /^arn:aws:iam::([0-9]{12}):(root|user\/[\w+=,.@/-]+|role\/[\w+=,.@/-]+)$/;
const session = /^arn:aws:sts::([0-9]{12}):assumed-role\/[\w+=,.@-]+\/[\w+=,.@-]{2,64}$/;
const service = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com$/;

/**
 * Reads the ARN of an account's root, a user, a role or a role's session, or the name of a service; undefined
 * for anything else.
 */
export function parsePrincipal(arn: string): Principal | undefined {
  if (arn.length > 2048) return undefined;
  const [, account, name] = identity.exec(arn) ?? [];
  if (account !== undefined && name !== undefined) {
    const type = name === "root" ? "Account" : name.startsWith("user/") ? "User" : "Role";
    return { arn, account, type };
  }
  const holder = session.exec(arn)?.[1];
  if (holder !== undefined) return { arn, account: holder, type: "AssumedRole" };
  return service.test(arn) ? { arn, account: "", type: "Service" } : undefined;
}

/**
 * How a statement's Principal takes in a caller: by itself, or only as one of an account that the statement
 * leaves the choice to (then an identity policy must allow as well).
 */
export type Reach = "named" | "delegated" | undefined;

/** The Principal element of a statement. */
export class Principals {
  #everyone = false;
  readonly #accounts = new Set<string>();
  readonly #arns = new Set<string>();
  /** How the ARNs of a role's sessions begin. They lack its path: names of roles are unique without it. */
  readonly #sessions = new Set<string>();

  addEveryone(): void {
    this.#everyone = true;
  }

  add({ arn, account, type }: Principal): void {
    if (type === "Account") this.#accounts.add(account);
    else this.#arns.add(arn);
    if (type === "Role") this.#sessions.add(`arn:aws:sts::${account}:assumed-role/${arn.split("/").at(-1)}/`);
  }

  reach({ arn, account, type }: Principal): Reach {
    if (this.#everyone || this.#arns.has(arn)) return "named";
    if (type === "AssumedRole" && this.#sessions.size > 0) {
      const role = arn.slice(0, arn.lastIndexOf("/") + 1);
      if (this.#sessions.has(role)) return "named";
    }
    if (!this.#accounts.has(account)) return undefined;
    return type === "Account" ? "named" : "delegated";
  }
}
