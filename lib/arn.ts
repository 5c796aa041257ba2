import {
  aliasNotFound,
  InvalidAliasNameException,
  keyNotFound,
  NotFoundException,
  ValidationException,
} from "./errors.ts";

/** Where a request is answered: ARNs of another Region name nothing here. */
export interface Home {
  readonly region: string;
  readonly account: string;
}

/** What a `KeyId` member names. The account may be another than the home's, the Region may not. */
export type KeyReference =
  | { readonly type: "key"; readonly account: string; readonly keyId: string }
  | { readonly type: "alias"; readonly account: string; readonly name: string };

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const multiRegionId = /^mrk-[0-9a-f]{32}$/;
const account = /^[0-9]{12}$/;
const aliasName = /^alias\/[a-zA-Z0-9:/_-]+$/;

const servicePattern = /^([a-z0-9-]{1,64})\.amazonaws\.com$/;

export const isKeyId = (text: string): boolean => uuid.test(text) || multiRegionId.test(text);
export const isAccount = (text: string): boolean => account.test(text);
/** A service owns keys in its own name: that stands where else an account does. */
export const isService = (text: string): boolean => servicePattern.test(text);
/** The account or service that an ARN names. */
export const ownerOf = (arn: string): string => arn.split(":", 5)[4] ?? "";
/** The principal of a service; throws for what is no name of one. */
export function servicePrincipal(name: string): string {
  const principal = `${name}.amazonaws.com`;
  if (isService(principal)) return principal;
  throw new TypeError(`${JSON.stringify(name)} is no name of a service, such as "backup"`);
}

/**
 * What a service has made, or is to make, under an alias: the key that it manages in the account that it acts for
 * (`alias/aws/SERVICE`), or one that it owns (`alias/aws/SERVICE/NAME`). Undefined for aliases that are not its own.
 */
export function ownerOfAlias(name: string, principal: string, actsFor: string): string | undefined {
  const [, short] = servicePattern.exec(principal) ?? [];
  if (short === undefined) return undefined;
  if (name === `alias/aws/${short}` && actsFor !== "") return actsFor;
  return name.startsWith(`alias/aws/${short}/`) ? principal : undefined;
}

export const keyArn = (region: string, account: string, keyId: string): string =>
  `arn:aws:kms:${region}:${account}:key/${keyId}`;
/** `name` begins with `alias/`. */
export const aliasArn = (region: string, account: string, name: string): string =>
  `arn:aws:kms:${region}:${account}:${name}`;
export const rootArn = (account: string): string => `arn:aws:iam::${account}:root`;

/**
 * Reads a key id, key ARN, alias name or alias ARN. Throws `NotFoundException` for what can name nothing here:
 * text that is none of these, and ARNs of another Region.
 */
export function parseKeyReference(text: string, home: Home): KeyReference {
  if (text.startsWith("alias/")) return { type: "alias", account: home.account, name: text };
  if (isKeyId(text)) return { type: "key", account: home.account, keyId: text };
  const [scheme, partition, service, region, account = "", ...rest] = text.split(":");
  const resource = rest.join(":");
  if (
    scheme !== "arn" ||
    partition !== "aws" ||
    service !== "kms" ||
    !(isAccount(account) || isService(account))
  )
    throw invalidKeyId(text);
  if (region !== home.region) throw new NotFoundException(`Invalid arn ${region}`);
  if (resource.startsWith("alias/")) return { type: "alias", account, name: resource };
  const keyId = resource.slice("key/".length);
  if (!resource.startsWith("key/") || !isKeyId(keyId)) throw invalidKeyId(text);
  return { type: "key", account, keyId };
}

/** As {@link parseKeyReference}, for the operations that want the key itself: an alias is no key id there. */
export function parseKeyOnly(text: string, home: Home): { account: string; keyId: string } {
  const reference = parseKeyReference(text, home);
  if (reference.type === "alias") throw invalidKeyId(text);
  return reference;
}

const invalidKeyId = (text: string) => new NotFoundException(`Invalid keyId '${text}'`);

/** What to throw when nothing is stored under a well-formed reference. */
export function referenceNotFound(reference: KeyReference, region: string): NotFoundException {
  return reference.type === "key"
    ? keyNotFound(keyArn(region, reference.account, reference.keyId))
    : aliasNotFound(aliasArn(region, reference.account, reference.name));
}

/**
 * Throws unless a customer may make or change an alias of this name: `alias/` and 1 to 250 of `[a-zA-Z0-9:/_-]`,
 * but not in `alias/aws/`, which is kept for keys that services make.
 */
export function checkAliasName(name: string): void {
  if (!name.startsWith("alias/"))
    throw new ValidationException(`Invalid identifier: alias name '${name}' must begin with 'alias/'.`);
  if (name.length > 256 || !aliasName.test(name))
    throw new InvalidAliasNameException(
      `Alias name '${name}' must be 'alias/' and 1 to 250 of letters, digits and :/_-`,
    );
  if (name.startsWith("alias/aws/"))
    throw new InvalidAliasNameException(
      `Alias name '${name}' is reserved: names that begin with 'alias/aws/' are made by services.`,
    );
}
