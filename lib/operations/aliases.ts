import { algorithmOf, type KeySpec } from "../algorithms.ts";
import { aliasArn, checkAliasName } from "../arn.ts";
import {
  AlreadyExistsException,
  aliasNotFound,
  keyNotFound,
  LimitExceededException,
  ValidationException,
} from "../errors.ts";
import { arnOf } from "../keys.ts";
import { operation, type Request, states, within } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const ALIASES_PER_KEY = 50;

/** Besides its usage, what AWS calls the type of a key: a pair of keys, or one secret. */
const isSecret = ({ keySpec }: KeyRow) => algorithmOf(keySpec as KeySpec).material.type === "secret";

/** The key that an alias leaves behind: its state does not matter, whether the caller may does. */
const leaving = (action: string) => ({ action, aliases: false, states: states.reading });

/** An alias belongs to the account of its key. */
function checkAccount({ account }: Request, key: KeyRow): void {
  if (key.account !== account) throw keyNotFound(arnOf(key));
}

async function checkRoom({ store }: Request, key: KeyRow): Promise<void> {
  if ((await store.countAliases(key.region, key.keyId)) >= ALIASES_PER_KEY)
    throw new LimitExceededException(`${arnOf(key)} has ${ALIASES_PER_KEY} aliases, the limit.`);
}

const AliasRequest = structure({ AliasName: shapes.AliasNameType, TargetKeyId: shapes.KeyIdType }, [
  "AliasName",
  "TargetKeyId",
]);
const target = { member: "TargetKeyId", aliases: false } as const;

export const createAlias = operation({
  name: "CreateAlias",
  input: AliasRequest,
  errors: [
    "DependencyTimeoutException",
    "AlreadyExistsException",
    "NotFoundException",
    "InvalidAliasNameException",
    "KMSInternalException",
    "LimitExceededException",
    "KMSInvalidStateException",
  ],
  key: target,
  states: states.editing,
  async decide(request, { AliasName: name }, key) {
    const { region, account, now, store } = request;
    checkAliasName(name);
    checkAccount(request, key);
    const arn = aliasArn(region, account, name);
    request.authorise("kms:CreateAlias", arn);
    if ((await store.alias(region, account, name)) !== undefined)
      throw new AlreadyExistsException(`An alias with the name ${arn} already exists`);
    await checkRoom(request, key);
    const row = { region, account, name, keyId: key.keyId, createdAt: now, updatedAt: now };
    return { output: {}, changes: [{ insert: "alias", row }] };
  },
});

export const updateAlias = operation({
  name: "UpdateAlias",
  input: AliasRequest,
  errors: [
    "DependencyTimeoutException",
    "NotFoundException",
    "KMSInternalException",
    "LimitExceededException",
    "KMSInvalidStateException",
  ],
  key: target,
  states: states.editing,
  async decide(request, { AliasName: name }, key) {
    const { region, account, now, store } = request;
    checkAliasName(name);
    checkAccount(request, key);
    const arn = aliasArn(region, account, name);
    request.authorise("kms:UpdateAlias", arn);
    const alias = await store.alias(region, account, name);
    if (alias === undefined) throw aliasNotFound(arn);
    const present = await request.admit(alias.keyId, leaving("kms:UpdateAlias"));
    if (present.keyUsage !== key.keyUsage || isSecret(present) !== isSecret(key))
      throw new ValidationException(
        `Alias ${arn} must keep a target of the same type and usage: ${present.keySpec} for ${present.keyUsage}.`,
      );
    if (present.keyId !== key.keyId) await checkRoom(request, key);
    const set = { keyId: key.keyId, updatedAt: now };
    return { output: {}, changes: [{ update: "alias", region, account, name, set }] };
  },
});

export const deleteAlias = operation({
  name: "DeleteAlias",
  input: structure({ AliasName: shapes.AliasNameType }, ["AliasName"]),
  errors: [
    "DependencyTimeoutException",
    "NotFoundException",
    "KMSInternalException",
    "KMSInvalidStateException",
  ],
  async decide(request, { AliasName: name }) {
    const { region, account, store } = request;
    checkAliasName(name);
    const arn = aliasArn(region, account, name);
    request.authorise("kms:DeleteAlias", arn);
    const alias = await store.alias(region, account, name);
    if (alias === undefined) throw aliasNotFound(arn);
    await request.admit(alias.keyId, leaving("kms:DeleteAlias"));
    return { output: {}, changes: [{ delete: "alias", region, account, name }] };
  },
});

export const listAliases = operation({
  name: "ListAliases",
  input: structure({ KeyId: shapes.KeyIdType, Limit: shapes.LimitType, Marker: shapes.MarkerType }),
  output: structure({
    Aliases: shapes.AliasList,
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: [
    "DependencyTimeoutException",
    "InvalidMarkerException",
    "KMSInternalException",
    "InvalidArnException",
    "NotFoundException",
  ],
  resource: "*",
  async run(request, input) {
    const { region, account, store, markers } = request;
    const limit = within("limit", input.Limit ?? 50, 1, 100);
    const keyId = input.KeyId && (await request.findOwn(input.KeyId)).keyId;
    const list = `ListAliases ${region} ${account} ${keyId ?? ""}`;
    const after = markers.read(list, input.Marker);
    const rows = await store.listAliases(region, account, { keyId, after, limit: limit + 1 });
    const { page, next } = markers.page(list, rows, limit, (row) => row.name);
    return {
      Aliases: page.map((row) => ({
        AliasName: row.name,
        AliasArn: aliasArn(region, account, row.name),
        TargetKeyId: row.keyId,
        CreationDate: new Date(row.createdAt),
        LastUpdatedDate: new Date(row.updatedAt),
      })),
      ...next,
    };
  },
});
