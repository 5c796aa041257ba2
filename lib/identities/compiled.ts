import { compilePolicy, type Policy } from "../access.ts";
import type { PrincipalRow } from "../store.ts";

interface Compiled {
  readonly policies: readonly Policy[];
  readonly boundary: Policy | undefined;
}

/** For as long as the store hands out the same row. */
const compiled = new WeakMap<PrincipalRow, Compiled>();

/** The policies of a user, a role or an account. */
export function compiledRow(row: PrincipalRow): Compiled {
  let known = compiled.get(row);
  if (known === undefined) {
    try {
      const policies = Object.entries(row.policies).map(([name, text]) =>
        compilePolicy(text, "identity", name),
      );
      const boundary = row.boundary === null ? undefined : compilePolicy(row.boundary, "identity");
      known = { policies, boundary };
    } catch (cause) {
      throw new Error(`the stored policies of ${row.arn} are damaged`, { cause });
    }
    compiled.set(row, known);
  }
  return known;
}
