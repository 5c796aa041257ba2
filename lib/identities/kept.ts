import type { Principal } from "../access.ts";
import { rootArn } from "../arn.ts";
import type { PrincipalIds, PrincipalRow, Store } from "../store.ts";

/** Whether the identities of an account are kept here. */
export async function isKept(store: Store, account: string): Promise<boolean> {
  return (await store.principal(rootArn(account))) !== undefined;
}

/** Users and roles that somebody names by ARN. */
export interface Named {
  /** The first that does not exist in an account whose identities are kept here; others' are taken as they are. */
  readonly missing: Principal | undefined;
  /** Who they are, of those that are kept here. */
  readonly ids: PrincipalIds | null;
}

export async function lookUp(store: Store, principals: readonly Principal[]): Promise<Named> {
  const ids: Record<string, string> = {};
  for (const principal of principals) {
    const { type, account, arn } = principal;
    if (type === "Account" || type === "Service" || type === "FederatedUser") continue;
    if (!(await isKept(store, account))) continue;
    const row = type === "AssumedRole" ? await roleOf(store, principal) : await store.principal(arn);
    if (row === undefined) return { missing: principal, ids: null };
    ids[arn] = row.principalId;
  }
  return { missing: undefined, ids: Object.keys(ids).length === 0 ? null : ids };
}

/** The role of a session, whose ARN has the role's name without its path. */
export async function roleOf(store: Store, { account, arn }: Principal): Promise<PrincipalRow | undefined> {
  const rows = await store.principalsNamed(account, arn.split("/")[1] as string);
  return rows.find(({ type }) => type === "Role");
}
