import {
  type AccessRequest,
  contextAskedBy,
  type Grant,
  type GrantIndex,
  type Layer,
  type Policy,
  type Principal,
} from "../access.ts";
import type { Standing } from "../identities.ts";
import type { Actor } from "../request.ts";
import type { KeyRow } from "../store.ts";
import { circumstance } from "./circumstances.ts";

type Members = Readonly<Record<string, unknown>>;
type Pairs = Readonly<Record<string, string>>;

/** Whether one caller may do one thing, as a request puts it to access. What is seldom asked for is found when asked. */
export class Question implements AccessRequest {
  readonly actor: Actor;
  readonly now: number;
  readonly input: Members;
  readonly action: string;
  readonly resource: string;
  readonly account: string;
  readonly principal: Principal;
  readonly identityPolicies: readonly Policy[];
  layers: readonly Layer[];
  keyPolicy: Policy | undefined;
  grants: GrantIndex | undefined;
  /** The grant that is to go. */
  retiring: Grant | undefined;
  /** The key that is decided on; undefined where there is none, or none yet. */
  key: KeyRow | undefined;
  /** The alias that the request names the key by. */
  alias: string | undefined;
  /** All aliases of the key. */
  aliases: (() => readonly string[]) | undefined;
  /** The first key of an operation that is about two. */
  firstKeyId: string | undefined;
  /** When the key was used last, or else made, in milliseconds; found for the actions that are asked so. */
  lastUse: number | undefined;
  /** Whether the encryption context was asked for. */
  contextual = false;
  #encryptionContext: Pairs | undefined;

  constructor(
    actor: Actor,
    standing: Standing,
    now: number,
    input: Members,
    action: string,
    resource: string,
    account: string,
  ) {
    this.actor = actor;
    this.now = now;
    this.input = input;
    this.action = action;
    this.resource = resource;
    this.account = account;
    this.principal = standing.principal;
    this.identityPolicies = standing.policies;
    this.layers = standing.layers;
    this.#encryptionContext =
      action === "kms:CreateGrant"
        ? contextAskedBy(input.Constraints as Grant["constraints"])
        : (input[contextMember(action)] as Pairs | undefined);
  }

  get encryptionContext(): Pairs | undefined {
    this.contextual = true;
    return this.#encryptionContext;
  }

  set encryptionContext(context: Pairs | undefined) {
    this.#encryptionContext = context;
  }

  get granting(): AccessRequest["granting"] {
    if (this.action !== "kms:CreateGrant") return undefined;
    const { Operations, Constraints } = this.input;
    return { operations: Operations as string[], constraints: (Constraints ?? null) as Grant["constraints"] };
  }

  /** The values of a condition key, in lower case. */
  context(name: string): readonly string[] | undefined {
    return circumstance(this, name);
  }
}

/** The member that holds the encryption context of what an action is about. */
function contextMember(action: string): string {
  if (action === "kms:ReEncryptFrom") return "SourceEncryptionContext";
  return action === "kms:ReEncryptTo" ? "DestinationEncryptionContext" : "EncryptionContext";
}
