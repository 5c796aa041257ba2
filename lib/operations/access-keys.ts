import { type Principal, parsePrincipal } from "../access.ts";
import { NotFoundException, ValidationException } from "../errors.ts";
import { lookUp, newAccessKey } from "../identities.ts";
import { operation, type Request } from "../operation.ts";
import { list, string, structure, timestamp } from "../shape.ts";
import { LimitType, MarkerType } from "../shapes.ts";
import type { Change, CredentialRow } from "../store.ts";

/** Ours alone, with the names of IAM's operations: what clients sign their requests with, and for whom. */

const AccessKeyIdType = string({ min: 16, max: 128, pattern: String.raw`[\w]+` });
const StatusType = string({ enum: ["Active", "Inactive"] });
const PrincipalType = string({ min: 20, max: 2048 });
const AccessKeyIdRequest = structure({ AccessKeyId: AccessKeyIdType }, ["AccessKeyId"]);

/** What is told of one; the secret is told once only, when it is made. */
const metadata = {
  AccessKeyId: AccessKeyIdType,
  Principal: PrincipalType,
  Status: StatusType,
  CreateDate: timestamp,
} as const;

export const createAccessKey = operation({
  name: "CreateAccessKey",
  action: "iam:CreateAccessKey",
  input: structure({ Principal: PrincipalType }),
  output: structure({ ...metadata, SecretAccessKey: string({ sensitive: true }) }),
  errors: ["NotFoundException", "KMSInternalException", "KeyUnavailableException"],
  independent: true,
  async decide(request, input) {
    const principal = input.Principal === undefined ? request.principal : principalOf(input.Principal);
    authorise(request, "iam:CreateAccessKey", principal.account, principal.arn);
    if (principal.type === "AssumedRole")
      throw new ValidationException("A session has the credentials that AssumeRole gave, and no others.");
    const { missing } = await lookUp(request.store, [principal]);
    if (missing !== undefined) throw new NotFoundException(`${principal.arn} does not exist.`);
    const owner = await request.store.principal(principal.arn);
    const { accessKeyId, secretAccessKey, secret } = await newAccessKey(request, "AKIA");
    const row: CredentialRow = {
      accessKeyId,
      account: principal.account,
      principal: principal.arn,
      secret,
      state: "Active",
      session: null,
      expiresAt: null,
      createdAt: request.now,
    };
    const changes: Change[] = [{ insert: "credential", row }];
    // Whoever deletes the user meanwhile has to do so with the new key in mind.
    if (owner !== undefined)
      changes.push({ update: "principal", arn: owner.arn, revision: owner.revision, set: {} });
    return { output: { ...tell(row), SecretAccessKey: secretAccessKey }, changes };
  },
});

export const listAccessKeys = operation({
  name: "ListAccessKeys",
  action: "iam:ListAccessKeys",
  input: structure({ Limit: LimitType, Marker: MarkerType }),
  output: structure({ AccessKeys: list(structure(metadata)), NextMarker: MarkerType }),
  errors: ["InvalidMarkerException", "KMSInternalException"],
  resource: "*",
  async run({ store, markers, account }, input) {
    const limit = input.Limit ?? 100;
    const name = `ListAccessKeys ${account}`;
    const after = markers.read(name, input.Marker);
    const rows = await store.listCredentials(account, { after, limit: limit + 1 });
    const { page, next } = markers.page(name, rows, limit, (row) => row.accessKeyId);
    return { AccessKeys: page.map(tell), NextMarker: next.NextMarker };
  },
});

export const updateAccessKey = operation({
  name: "UpdateAccessKey",
  action: "iam:UpdateAccessKey",
  input: structure({ AccessKeyId: AccessKeyIdType, Status: StatusType }, ["AccessKeyId", "Status"]),
  errors: ["NotFoundException", "KMSInternalException"],
  async decide(request, { AccessKeyId: accessKeyId, Status: state }) {
    await find(request, "iam:UpdateAccessKey", accessKeyId);
    return { output: {}, changes: [{ update: "credential", accessKeyId, set: { state } }] };
  },
});

export const deleteAccessKey = operation({
  name: "DeleteAccessKey",
  action: "iam:DeleteAccessKey",
  input: AccessKeyIdRequest,
  errors: ["NotFoundException", "KMSInternalException"],
  async decide(request, { AccessKeyId: accessKeyId }) {
    await find(request, "iam:DeleteAccessKey", accessKeyId);
    return { output: {}, changes: [{ delete: "credential", accessKeyId }] };
  },
});

const tell = (row: CredentialRow) => ({
  AccessKeyId: row.accessKeyId,
  Principal: row.principal,
  Status: row.state as "Active" | "Inactive",
  CreateDate: new Date(row.createdAt),
});

function principalOf(arn: string): Principal {
  const principal = parsePrincipal(arn);
  if (principal !== undefined && principal.type !== "Service") return principal;
  throw new ValidationException(
    `${JSON.stringify(arn)} cannot have access keys: give the ARN of an account's root, a user or a role.`,
  );
}

/** Of another account one learns nothing, not even by its denial. */
async function find(request: Request, action: string, accessKeyId: string): Promise<CredentialRow> {
  const row = await request.store.row("credential", accessKeyId);
  if (row?.account !== request.account) {
    authorise(request, action, request.account, "*");
    throw new NotFoundException(`The Access Key with id ${accessKeyId} cannot be found.`);
  }
  authorise(request, action, row.account, row.principal);
  return row;
}

function authorise(request: Request, action: string, account: string, resource: string): void {
  if (account !== request.account)
    throw new ValidationException(`Access keys of account ${account} are made by its own callers.`);
  request.authorise(action, resource);
}
