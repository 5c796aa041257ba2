import { parseJson } from "../json.ts";
import type { Principal } from "./principal.ts";
import { asObject, malformed, show } from "./reading.ts";
import { compileStatement, type Statement } from "./statement.ts";

/**
 * What a policy hangs on: a key, an identity (or a layer, which speaks of its callers just so), or a role, of which it
 * says who may assume it.
 */
export type PolicyKind = "key" | "identity" | "trust";

/** A policy document, ready to be asked. */
export interface Policy {
  /** What its users call it, for the log and for administrators. */
  readonly name?: string;
  readonly statements: readonly Statement[];
  /** All that Principal and NotPrincipal name, save everyone. */
  readonly principals: readonly Principal[];
}

/** The longest policy, in bytes of UTF-8. */
export const LONGEST_POLICY = 32_768;

const policyMembers = new Set(["Version", "Id", "Statement"]);

/**
 * Reads a policy strictly. Throws `MalformedPolicyDocumentException`, and nothing else, for whatever is not to be
 * evaluated exactly as written, saying what is wrong and where. `ids` are the principal ids of those that it names.
 */
export function compilePolicy(
  text: string,
  kind: PolicyKind = "key",
  name?: string,
  ids: Readonly<Record<string, string>> | null = null,
): Policy {
  const bytes = Buffer.byteLength(text);
  if (bytes > LONGEST_POLICY)
    throw malformed("the policy", `${bytes} bytes are too many; at most ${LONGEST_POLICY} are allowed`);
  const document = asObject(parse(text), "the policy");
  for (const member of Object.keys(document))
    if (!policyMembers.has(member)) throw malformed(member, "is no member of a policy");
  const { Version, Id, Statement } = document;
  if (Version !== undefined && Version !== "2012-10-17" && Version !== "2008-10-17")
    throw malformed("Version", `${show(Version)} is neither "2012-10-17" nor "2008-10-17"`);
  if (Id !== undefined && typeof Id !== "string") throw malformed("Id", "must be a string");
  const list = Array.isArray(Statement) ? Statement : [Statement];
  if (Statement === undefined || list.length === 0)
    throw malformed("Statement", "there must be at least one statement");
  const principals: Principal[] = [];
  const variables = Version === "2012-10-17";
  const statements = list.map((statement, index) =>
    compileStatement(statement, index, { kind, variables, policy: name, principals, ids }),
  );
  refuseTwinSids(statements);
  return { name, statements, principals };
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw malformed("the policy", `is not JSON: ${(error as SyntaxError).message}`);
  }
}

function refuseTwinSids(statements: readonly Statement[]): void {
  const sids = new Set<string>();
  for (const { sid, index } of statements) {
    if (!sid) continue;
    if (sids.has(sid))
      throw malformed(`Statement[${index}].Sid`, `'${sid}' is the Sid of an earlier statement`);
    sids.add(sid);
  }
}
