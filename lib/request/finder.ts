import {
  aliasArn,
  type KeyReference,
  keyArn,
  ownerOfAlias,
  parseKeyOnly,
  parseKeyReference,
} from "../arn.ts";
import type { Request } from "../operation.ts";
import type { KeyRow, Soon } from "../store.ts";
import { andThen } from "./soon.ts";

/** Makes what an alias of a service's own is to name. */
type Make = (account: string, alias: string) => Promise<unknown>;

/** Finds the key that a caller names, by its id or an alias or the ARN of either; says nothing of who may use it. */
export class Finder {
  readonly #caller: Pick<Request, "principal" | "account" | "region" | "store">;
  readonly #make: Make;

  constructor(caller: Pick<Request, "principal" | "account" | "region" | "store">, make: Make) {
    this.#caller = caller;
    this.#make = make;
  }

  read(text: string, aliases: boolean): KeyReference {
    const { principal, account } = this.#caller;
    if (!aliases) return { type: "key", ...parseKeyOnly(text, this.#caller) };
    const reference = parseKeyReference(text, this.#caller);
    if (principal.type !== "Service" || reference.type === "key") return reference;
    if (reference.account !== account) return reference;
    return { ...reference, account: this.#ownerOf(reference.name) ?? reference.account };
  }

  find(reference: KeyReference): Soon<KeyRow | undefined> {
    const { store, region, principal } = this.#caller;
    const { account } = reference;
    if (reference.type === "key")
      return andThen(store.key(region, reference.keyId), (key) =>
        key?.account === account ? key : undefined,
      );
    const alias = store.alias(region, account, reference.name);
    return andThen(alias, (row) => {
      if (row !== undefined) return store.key(region, row.keyId);
      if (principal.type !== "Service" || account !== this.#ownerOf(reference.name)) return undefined;
      return this.#make(account, reference.name).then(() => this.find(reference));
    });
  }

  /** Whose key an alias names that is the calling service's own. */
  #ownerOf(alias: string): string | undefined {
    const { arn, account } = this.#caller.principal;
    return ownerOfAlias(alias, arn, account);
  }

  /** The ARN that a caller has for it. */
  nameOf(reference: KeyReference): string {
    const { region } = this.#caller;
    return reference.type === "key"
      ? keyArn(region, reference.account, reference.keyId)
      : aliasArn(region, reference.account, reference.name);
  }
}
