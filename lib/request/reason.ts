import type { Decision } from "../access.ts";

let latest: Partial<Decision> & { readonly text: string } = { text: "" };

/** The reason as the log has it. One text for all that are alike: the log need not read a new one each time. */
export function explained({ reason, statement, identityStatement, grant }: Decision): string {
  const same = latest.statement === statement && latest.identityStatement === identityStatement;
  if (same && latest.reason === reason && latest.grant === grant) return latest.text;
  const named = [statement, identityStatement].flatMap((each) => [each?.policy, each?.sid]);
  const by = [...named, grant?.grantId].filter((name) => name !== undefined && name !== "").join(", ");
  const text = [reason, by].filter((part) => part !== "").join(": ");
  latest = { reason, statement, identityStatement, grant, text: text === latest.text ? latest.text : text };
  return latest.text;
}
