import type { Principal } from "../access.ts";
import { rootArn } from "../arn.ts";
import type { Store } from "../store.ts";

/** Whether the identities of an account are kept here. */
export async function isKept(store: Store, account: string): Promise<boolean> {
  return (await store.principal(rootArn(account))) !== undefined;
}

/** The first of these that does not exist in an account whose identities are kept here; others' are taken as they are. */
export async function missingPrincipal(
  store: Store,
  principals: readonly Principal[],
): Promise<Principal | undefined> {
  for (const principal of principals) {
    const { type, account } = principal;
    if (type === "Account" || type === "Service" || type === "FederatedUser") continue;
    if ((await isKept(store, account)) && !(await exists(store, principal))) return principal;
  }
  return undefined;
}

async function exists(store: Store, principal: Principal): Promise<boolean> {
  const { type, account, arn } = principal;
  if (type !== "AssumedRole") return (await store.principal(arn)) !== undefined;
  // A session's ARN has the name of its role without its path.
  const rows = await store.principalsNamed(account, arn.split("/")[1] as string);
  return rows.some(({ type }) => type === "Role");
}
