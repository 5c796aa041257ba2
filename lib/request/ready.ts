import { compilePolicy, GrantIndex, type Policy } from "../access.ts";
import { arnOf } from "../keys.ts";
import type { GrantRow, KeyRow } from "../store.ts";

/** What is derived from a key's row. */
interface Ready {
  readonly arn: string;
  readonly policy: Policy;
}

/** For as long as the store hands out the same row. */
const ready = new WeakMap<KeyRow, Ready>();
const indexes = new WeakMap<readonly GrantRow[], GrantIndex>();
/** Most keys share the text of their policy with others, and whom it means. */
const policies = new Map<string, Policy>();
const POLICIES = 4096;

export function readyFor(key: KeyRow): Ready {
  let known = ready.get(key);
  if (known === undefined) {
    known = { arn: arnOf(key), policy: compiled(key) };
    ready.set(key, known);
  }
  return known;
}

function compiled(key: KeyRow): Policy {
  const { policy: text, policyPrincipals: ids } = key;
  const name = ids === null ? text : `${text}${JSON.stringify(ids)}`;
  let policy = policies.get(name);
  if (policy === undefined) {
    try {
      policy = compilePolicy(text, "key", undefined, ids);
    } catch (cause) {
      throw new Error(`the stored policy of ${arnOf(key)} is damaged`, { cause });
    }
    if (policies.size >= POLICIES) policies.clear();
    policies.set(name, policy);
  }
  return policy;
}

/** The grants of a key, by grantee; undefined where there are none. */
export function indexOf(grants: readonly GrantRow[]): GrantIndex | undefined {
  if (grants.length === 0) return undefined;
  let index = indexes.get(grants);
  if (index === undefined) {
    index = new GrantIndex(grants);
    indexes.set(grants, index);
  }
  return index;
}
