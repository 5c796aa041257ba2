import { explain, parsePrincipal } from "../access.ts";
import { KmsError, UnknownOperationException, ValidationException } from "../errors.ts";
import { Identity } from "../identities.ts";
import type { Operation, ReasonedDecision, Rehearsal, Rehearsed } from "../operation.ts";
import { table } from "../operations.ts";
import type { Service } from "../request.ts";
import { validate } from "../shape.ts";
import { Admission } from "./admission.ts";

type Members = Readonly<Record<string, unknown>>;
type Admit = (operation: Operation, request: Admission, input: Members) => unknown;

/** Where the decisions are over, and the work would begin. */
const STOP = new Error("a rehearsal does nothing");
const stop = () => {
  throw STOP;
};
/** A room that ends a rehearsal that would enter it. */
const closed = new Proxy({}, { get: stop }) as never;
const rooms = { hsm: closed, keys: closed, keyStores: closed, quota: closed, secrets: closed };

/** What may be asked of an operation on a ciphertext that is left out: the key is named in its place. */
const withoutCiphertext: Readonly<Record<string, readonly (readonly [member: string, action: string])[]>> = {
  Decrypt: [["KeyId", "kms:Decrypt"]],
  ReEncrypt: [
    ["DestinationKeyId", "kms:ReEncryptTo"],
    ["SourceKeyId", "kms:ReEncryptFrom"],
  ],
};

/**
 * A request as far as it is decided on, on the very path that it would take, and no farther: what would reach the HSM or
 * draw on anything ends it, and the changes that an operation decides are not made. Of the input it needs what conditions
 * and the operation's own decisions look at.
 */
export async function rehearse(service: Service, rehearsal: Rehearsal, admit: Admit): Promise<Rehearsed> {
  const {
    Operation: name,
    Principal: arn,
    Tags: tags,
    Input: input = {},
    Region: region,
    ...how
  } = rehearsal;
  const operation = table.get(name);
  if (operation === undefined) throw new UnknownOperationException(`There is no operation ${name}.`);
  const principal = parsePrincipal(arn);
  if (principal === undefined) throw new ValidationException(`${JSON.stringify(arn)} is no principal.`);
  const identity = new Identity(service.store, principal, { tags });
  const actor = { identity, region, via: how.Via, sourceIp: how.SourceIp };
  const request = new Admission({ ...service, ...rooms }, actor, "", {
    makeServiceKey: stop,
    rehearse: stop,
  });
  const decisions: ReasonedDecision[] = [];
  request.witness = (question) => {
    const { action, resource } = question;
    decisions.push({ action, resource, ...explain(question) });
  };
  let error: string | undefined;
  try {
    await walk(operation, request, input as Members, admit);
  } catch (cause) {
    const refused = decisions.at(-1)?.allowed === false;
    if (cause !== STOP) error = textOf(cause, refused);
  }
  return {
    Allowed: decisions.length > 0 && decisions.every(({ allowed }) => allowed),
    Decisions: decisions,
    ...(error !== undefined && { Error: error }),
  };
}

async function walk(operation: Operation, request: Admission, input: Members, admit: Admit): Promise<void> {
  const named = withoutCiphertext[operation.name]?.filter(([member]) => input[member] !== undefined) ?? [];
  if (input.CiphertextBlob === undefined && named.length > 0) {
    request.input = input;
    await request.identify();
    for (const [member, action] of named) {
      const states = { Enabled: "ok" } as const;
      await request.admit(input[member] as string, { action, aliases: true, states });
    }
    return;
  }
  const key = await admit(operation, request, input);
  if (!isComplete(operation, input)) return;
  await (operation.run ?? operation.decide)(request, input as never, key as never);
}

/** What lacks members is decided on by its key alone. */
function isComplete(operation: Operation, input: Members): boolean {
  try {
    validate(operation.input, input);
    return true;
  } catch {
    return false;
  }
}

/** A refusal by access is in the decisions, with all that there is to say of it. */
function textOf(cause: unknown, refused: boolean): string | undefined {
  if (!(cause instanceof KmsError)) throw cause;
  return refused && cause.name === "AccessDeniedException" ? undefined : `${cause.name}: ${cause.message}`;
}
