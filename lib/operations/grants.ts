import { randomBytes } from "node:crypto";
import { parsePrincipal } from "../access.ts";
import { isSymmetric, type KeySpec } from "../algorithms.ts";
import { keyArn, rootArn } from "../arn.ts";
import {
  grantNotFound,
  InvalidArnException,
  InvalidGrantIdException,
  LimitExceededException,
  ValidationException,
} from "../errors.ts";
import { lookUp } from "../identities.ts";
import { arnOf, grantable, grantIdOf } from "../keys.ts";
import { grantToken, readGrantToken } from "../marker.ts";
import { operation, refuseDryRun, states, within } from "../operation.ts";
import { list, string, structure, type Valid } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { GrantRow, KeyRow } from "../store.ts";

const GRANTS_PER_KEY = 50_000;
const PAIRS = 8;
const LONGEST_VALUE = 384;

const PrincipalIdType = string({ min: 1, max: 256, pattern: String.raw`^[\w+=,.@:/-]+$` });
const GrantIdType = string({ min: 1, max: 128 });
const GrantNameType = string({ min: 1, max: 256, pattern: "^[a-zA-Z0-9:/_-]+$" });
const GrantOperation = string({
  enum: [
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "GetPublicKey",
    "CreateGrant",
    "RetireGrant",
    "DescribeKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateMac",
    "VerifyMac",
    "DeriveSharedSecret",
  ],
});
const GrantOperationList = list(GrantOperation);
const GrantConstraints = structure({
  EncryptionContextSubset: shapes.EncryptionContextType,
  EncryptionContextEquals: shapes.EncryptionContextType,
});
const GrantListEntry = structure({
  KeyId: shapes.KeyIdType,
  GrantId: GrantIdType,
  Name: GrantNameType,
  CreationDate: shapes.DateType,
  GranteePrincipal: PrincipalIdType,
  RetiringPrincipal: PrincipalIdType,
  IssuingAccount: PrincipalIdType,
  Operations: GrantOperationList,
  Constraints: GrantConstraints,
});
const ListGrantsResponse = structure({
  Grants: list(GrantListEntry),
  NextMarker: shapes.MarkerType,
  Truncated: shapes.BooleanType,
});

const keyId = { member: "KeyId", aliases: false } as const;

export const createGrant = operation({
  name: "CreateGrant",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      GranteePrincipal: PrincipalIdType,
      RetiringPrincipal: PrincipalIdType,
      Operations: GrantOperationList,
      Constraints: GrantConstraints,
      GrantTokens: shapes.GrantTokenList,
      Name: GrantNameType,
      DryRun: shapes.NullableBooleanType,
    },
    ["KeyId", "GranteePrincipal", "Operations"],
  ),
  output: structure({ GrantToken: shapes.GrantTokenType, GrantId: GrantIdType }),
  errors: [
    "NotFoundException",
    "DisabledException",
    "DependencyTimeoutException",
    "InvalidArnException",
    "KMSInternalException",
    "InvalidGrantTokenException",
    "LimitExceededException",
    "KMSInvalidStateException",
    "DryRunOperationException",
  ],
  key: keyId,
  states: states.granting,
  async decide(request, input, key) {
    const { store, markers, account, now } = request;
    const { region, keyId } = key;
    const parties = [input.GranteePrincipal, input.RetiringPrincipal].filter((text) => text !== undefined);
    const { missing, ids } = await lookUp(store, parties.map(checkPrincipal));
    if (missing !== undefined) throw invalidPrincipal(missing.arn);
    const parameters = {
      region,
      keyId,
      account: key.account,
      name: input.Name ?? null,
      granteePrincipal: input.GranteePrincipal,
      retiringPrincipal: input.RetiringPrincipal ?? null,
      issuingAccount: rootArn(account),
      operations: operationsFor(key, input.Operations),
      constraints: constraintsFor(key, input.Constraints),
      principals: ids,
    };
    const grantId = input.Name === undefined ? randomBytes(32).toString("hex") : grantIdOf(parameters);
    const there = input.Name !== undefined && (await store.row("grant", region, keyId, grantId));
    if (!there && (await store.countGrants(region, keyId)) >= GRANTS_PER_KEY)
      throw new LimitExceededException(`${arnOf(key)} has ${GRANTS_PER_KEY} grants, the limit.`);
    refuseDryRun(input);
    const GrantToken = grantToken(markers, region, { keyArn: arnOf(key), grantId });
    const row = { ...parameters, grantId, createdAt: now };
    return { output: { GrantToken, GrantId: grantId }, changes: there ? [] : [{ insert: "grant", row }] };
  },
});

export const listGrants = operation({
  name: "ListGrants",
  input: structure(
    {
      Limit: shapes.LimitType,
      Marker: shapes.MarkerType,
      KeyId: shapes.KeyIdType,
      GrantId: GrantIdType,
      GranteePrincipal: PrincipalIdType,
    },
    ["KeyId"],
  ),
  output: ListGrantsResponse,
  errors: [
    "NotFoundException",
    "DependencyTimeoutException",
    "InvalidMarkerException",
    "InvalidGrantIdException",
    "InvalidArnException",
    "KMSInternalException",
    "KMSInvalidStateException",
  ],
  key: keyId,
  states: states.reading,
  async run({ store, markers }, input, { region, keyId }) {
    const { GrantId: grantId, GranteePrincipal: granteePrincipal } = input;
    const limit = within("limit", input.Limit ?? 50, 1, 100);
    const list = `ListGrants ${region} ${keyId} ${grantId ?? ""} ${granteePrincipal ?? ""}`;
    const after = markers.read(list, input.Marker);
    if (grantId !== undefined) {
      checkGrantId(grantId);
      const row = await store.row("grant", region, keyId, grantId);
      const fits = row && (granteePrincipal ?? row.granteePrincipal) === row.granteePrincipal;
      return { Grants: fits ? [entry(row)] : [], Truncated: false };
    }
    const rows = await store.listGrants(region, keyId, { granteePrincipal, after, limit: limit + 1 });
    const { page, next } = markers.page(list, rows, limit, (row) => row.grantId);
    return { Grants: page.map(entry), ...next };
  },
});

export const listRetirableGrants = operation({
  name: "ListRetirableGrants",
  input: structure(
    { Limit: shapes.LimitType, Marker: shapes.MarkerType, RetiringPrincipal: PrincipalIdType },
    ["RetiringPrincipal"],
  ),
  output: ListGrantsResponse,
  errors: [
    "DependencyTimeoutException",
    "InvalidMarkerException",
    "InvalidArnException",
    "NotFoundException",
    "KMSInternalException",
  ],
  resource: "*",
  async run({ store, markers, region, account }, input) {
    const { RetiringPrincipal: principal } = input;
    const limit = within("limit", input.Limit ?? 50, 1, 100);
    // Nor is a service: the grants that it may retire are of many accounts.
    if (checkPrincipal(principal).account !== account)
      throw new InvalidArnException(`${principal} is not a principal of account ${account}`);
    const list = `ListRetirableGrants ${region} ${principal}`;
    const [keyId = "", grantId = ""] = markers.read(list, input.Marker)?.split(" ") ?? [];
    const page = { after: { keyId, grantId }, limit: limit + 1 };
    const rows = await store.listRetirableGrants(region, principal, page);
    const { page: found, next } = markers.page(list, rows, limit, (row) => `${row.keyId} ${row.grantId}`);
    return { Grants: found.map(entry), ...next };
  },
});

export const retireGrant = operation({
  name: "RetireGrant",
  input: structure({
    GrantToken: shapes.GrantTokenType,
    KeyId: shapes.KeyIdType,
    GrantId: GrantIdType,
    DryRun: shapes.NullableBooleanType,
  }),
  errors: [
    "InvalidArnException",
    "InvalidGrantTokenException",
    "InvalidGrantIdException",
    "NotFoundException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "DryRunOperationException",
  ],
  async decide(request, input) {
    const { GrantToken, KeyId, GrantId } = input;
    if (GrantToken === undefined ? KeyId === undefined || GrantId === undefined : (KeyId ?? GrantId))
      throw new ValidationException("You must specify either a GrantToken, or a KeyId and a GrantId.");
    const { markers, region } = request;
    const named =
      GrantToken === undefined
        ? { keyArn: KeyId as string, grantId: GrantId as string }
        : readGrantToken(markers, region, GrantToken);
    checkGrantId(named.grantId);
    const grant = await request.admitRetirement(named.keyArn, named.grantId);
    refuseDryRun(input);
    return { output: {}, changes: [gone(grant)] };
  },
});

export const revokeGrant = operation({
  name: "RevokeGrant",
  input: structure({ KeyId: shapes.KeyIdType, GrantId: GrantIdType, DryRun: shapes.NullableBooleanType }, [
    "KeyId",
    "GrantId",
  ]),
  errors: [
    "NotFoundException",
    "DependencyTimeoutException",
    "InvalidArnException",
    "InvalidGrantIdException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "DryRunOperationException",
  ],
  key: keyId,
  states: states.reading,
  async decide({ store }, input, { region, keyId }) {
    const { GrantId } = input;
    checkGrantId(GrantId);
    const grant = await store.row("grant", region, keyId, GrantId);
    if (grant === undefined) throw grantNotFound(GrantId);
    refuseDryRun(input);
    return { output: {}, changes: [gone(grant)] };
  },
});

const gone = ({ region, keyId, grantId }: GrantRow) => ({ delete: "grant", region, keyId, grantId }) as const;

/** Whether there is such a principal, AWS asks IAM: here its syntax decides. */
function checkPrincipal(text: string) {
  const principal = parsePrincipal(text);
  if (principal === undefined) throw invalidPrincipal(text);
  return principal;
}

const invalidPrincipal = (arn: string) =>
  new InvalidArnException(`ARN does not refer to a valid principal: ${arn}`);

function checkGrantId(grantId: string): void {
  if (!/^[0-9a-f]{64}$/.test(grantId)) throw new InvalidGrantIdException(`Invalid grant ID '${grantId}'`);
}

type GrantOperations = Valid<typeof GrantOperationList>;

/** In the order of the model, each once. */
function operationsFor(key: KeyRow, wanted: GrantOperations): GrantOperations {
  const operations = (GrantOperation.enum ?? []).filter((name) => wanted.includes(name));
  if (operations.length === 0) throw new ValidationException("Grants must contain at least one operation.");
  const possible = grantable(key);
  const misfits = operations.filter((name) => !possible.has(name));
  if (misfits.length > 0)
    throw new ValidationException(
      `${arnOf(key)} has the key spec ${key.keySpec} and the usage ${key.keyUsage}, ` +
        `for which a grant cannot allow ${misfits.join(", ")}.`,
    );
  if (operations.join() === "CreateGrant")
    throw new ValidationException("Grants must not contain only the CreateGrant operation.");
  return operations;
}

type Constraints = Valid<typeof GrantConstraints>;

function constraintsFor(key: KeyRow, constraints: Constraints | undefined): GrantRow["constraints"] {
  const { EncryptionContextSubset, EncryptionContextEquals } = constraints ?? {};
  if (EncryptionContextSubset === undefined && EncryptionContextEquals === undefined) return null;
  if (!isSymmetric(key.keySpec as KeySpec))
    throw new ValidationException(
      `${arnOf(key)} has the key spec ${key.keySpec}: constraints on the encryption context are for symmetric encryption keys.`,
    );
  checkPairs("encryptionContextSubset", EncryptionContextSubset);
  checkPairs("encryptionContextEquals", EncryptionContextEquals);
  return {
    ...(EncryptionContextSubset && { EncryptionContextSubset }),
    ...(EncryptionContextEquals && { EncryptionContextEquals }),
  };
}

function checkPairs(name: string, pairs: Readonly<Record<string, string>> = {}): void {
  const refuse = (constraint: string) =>
    new ValidationException(
      `1 validation error detected: Value at 'constraints.${name}' failed to satisfy constraint: ${constraint}`,
    );
  const values = Object.values(pairs);
  if (values.length > PAIRS) throw refuse(`Member must have length less than or equal to ${PAIRS}`);
  if (values.some((value) => value.length > LONGEST_VALUE))
    throw refuse(
      `Map value must satisfy constraint: [Member must have length less than or equal to ${LONGEST_VALUE}]`,
    );
}

function entry(grant: GrantRow) {
  const { EncryptionContextSubset, EncryptionContextEquals } = grant.constraints ?? {};
  return {
    KeyId: keyArn(grant.region, grant.account, grant.keyId),
    GrantId: grant.grantId,
    Name: grant.name ?? "",
    CreationDate: new Date(grant.createdAt),
    GranteePrincipal: grant.granteePrincipal,
    ...(grant.retiringPrincipal !== null && { RetiringPrincipal: grant.retiringPrincipal }),
    IssuingAccount: grant.issuingAccount,
    Operations: [...grant.operations] as Writable<GrantOperations>,
    ...(grant.constraints && {
      Constraints: {
        ...(EncryptionContextSubset && { EncryptionContextSubset: { ...EncryptionContextSubset } }),
        ...(EncryptionContextEquals && { EncryptionContextEquals: { ...EncryptionContextEquals } }),
      },
    }),
  };
}

type Writable<L extends readonly unknown[]> = L[number][];
