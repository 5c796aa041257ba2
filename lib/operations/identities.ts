import { compilePolicy, parsePrincipal } from "../access.ts";
import { isAccount, rootArn } from "../arn.ts";
import {
  AlreadyExistsException,
  LimitExceededException,
  MalformedPolicyDocumentException,
  NotFoundException,
  ValidationException,
} from "../errors.ts";
import { checkedTags, type GivenTags, isKept, lookUp, newPrincipalId, withTags } from "../identities.ts";
import { operation, type Request } from "../operation.ts";
import { list, map, string, structure, timestamp } from "../shape.ts";
import { ArnType, LimitType, MarkerType, TagKeyType, TagValueType } from "../shapes.ts";
import type { Change, New, PrincipalRow } from "../store.ts";

/**
 * Ours alone: users, roles, and accounts that service control policies govern. Each asks for the action of the operation
 * of IAM, or of AWS Organizations, that does the same.
 */

/** AWS's quota of attached policies, at its highest. */
const POLICIES = 20;
/** IAM's, of the ARN that a name and a path make up. */
const LONGEST_ARN = 2048;

const NameType = string({ min: 1, max: 64, pattern: String.raw`^[\w+=,.@-]+$` });
const PathType = string({ min: 1, max: 512, pattern: String.raw`^/([\w+=,.@-]+/)*$` });
const PolicyNameType = string({ min: 1, max: 128, pattern: String.raw`^[\w+=,.@-]+$` });
const DocumentType = string({ min: 1, max: 131_072 });
/** The ARN of a user or role; of an account, its number or its root's ARN. */
const PrincipalType = string({ min: 12, max: LONGEST_ARN });
const TagListType = list(structure({ Key: TagKeyType, Value: TagValueType }, ["Key", "Value"]));

const told = structure({
  Arn: ArnType,
  PrincipalId: string(),
  Type: string({ enum: ["User", "Role", "Account"] }),
  CreateDate: timestamp,
  /** By name. */
  Policies: map(PolicyNameType, DocumentType),
  PermissionsBoundary: DocumentType,
  AssumeRolePolicyDocument: DocumentType,
  Tags: TagListType,
});
const Principal = structure({ Principal: told });
const PrincipalRequest = structure({ Principal: PrincipalType }, ["Principal"]);

const failures = [
  "NotFoundException",
  "MalformedPolicyDocumentException",
  "LimitExceededException",
  "TagException",
  "ConflictException",
  "KMSInternalException",
] as const;

export const createUser = operation({
  name: "CreateUser",
  action: "iam:CreateUser",
  input: structure(
    { UserName: NameType, Path: PathType, PermissionsBoundary: DocumentType, Tags: TagListType },
    ["UserName"],
  ),
  output: Principal,
  errors: [...failures, "AlreadyExistsException"],
  decide: (request, { UserName, ...input }) => create(request, "User", UserName, input),
});

export const createRole = operation({
  name: "CreateRole",
  action: "iam:CreateRole",
  input: structure(
    {
      RoleName: NameType,
      Path: PathType,
      AssumeRolePolicyDocument: DocumentType,
      PermissionsBoundary: DocumentType,
      Tags: TagListType,
    },
    ["RoleName", "AssumeRolePolicyDocument"],
  ),
  output: Principal,
  errors: [...failures, "AlreadyExistsException"],
  decide: (request, { RoleName, ...input }) => create(request, "Role", RoleName, input),
});

export const getPrincipal = operation({
  name: "GetPrincipal",
  action: "iam:GetUser",
  input: PrincipalRequest,
  output: Principal,
  errors: ["NotFoundException", "KMSInternalException"],
  async run(request, input) {
    return { Principal: tell(await find(request, input.Principal, "Get", "organizations:DescribePolicy")) };
  },
});

export const listPrincipals = operation({
  name: "ListPrincipals",
  action: "iam:GetAccountAuthorizationDetails",
  input: structure({ Limit: LimitType, Marker: MarkerType }),
  output: structure({ Principals: list(told), NextMarker: MarkerType }),
  errors: ["InvalidMarkerException", "KMSInternalException"],
  resource: "*",
  async run({ store, markers, account }, input) {
    const limit = input.Limit ?? 100;
    const name = `ListPrincipals ${account}`;
    const after = markers.read(name, input.Marker);
    const rows = await store.listPrincipals(account, { after, limit: limit + 1 });
    const { page, next } = markers.page(name, rows, limit, (row) => row.arn);
    return { Principals: page.map(tell), NextMarker: next.NextMarker };
  },
});

export const deletePrincipal = operation({
  name: "DeletePrincipal",
  action: "iam:DeleteUser",
  input: PrincipalRequest,
  errors: failures,
  async decide(request, input) {
    const row = await find(request, input.Principal, "Delete", "organizations:DetachPolicy");
    if (row.type === "Account")
      throw new ValidationException("An account is not deleted: take its service control policies away.");
    // Whoever is made anew under this name is to have nothing of the one before.
    const credentials = await request.store.credentialsOf(row.account, row.arn);
    const { arn, revision } = row;
    return {
      output: {},
      changes: [
        ...credentials.map(({ accessKeyId }): Change => ({ delete: "credential", accessKeyId })),
        { delete: "principal", arn, revision },
      ],
    };
  },
});

export const putPolicy = operation({
  name: "PutPolicy",
  action: "iam:PutUserPolicy",
  input: structure({ Principal: PrincipalType, PolicyName: PolicyNameType, PolicyDocument: DocumentType }, [
    "Principal",
    "PolicyName",
    "PolicyDocument",
  ]),
  errors: failures,
  async decide(request, { Principal: name, PolicyName, PolicyDocument }) {
    const row = await find(request, name, "Put", "organizations:AttachPolicy", "Policy");
    compilePolicy(PolicyDocument, "identity");
    const policies = { ...row.policies, [PolicyName]: PolicyDocument };
    if (Object.keys(policies).length > POLICIES)
      throw new LimitExceededException(`${row.arn} has ${POLICIES} policies, the limit.`);
    return { output: {}, changes: [change(row, { policies })] };
  },
});

export const deletePolicy = operation({
  name: "DeletePolicy",
  action: "iam:DeleteUserPolicy",
  input: structure({ Principal: PrincipalType, PolicyName: PolicyNameType }, ["Principal", "PolicyName"]),
  errors: failures,
  async decide(request, { Principal: name, PolicyName }) {
    const row = await find(request, name, "Delete", "organizations:DetachPolicy", "Policy");
    if (!Object.hasOwn(row.policies, PolicyName))
      throw new NotFoundException(`The policy with name ${PolicyName} cannot be found.`);
    const { [PolicyName]: _gone, ...policies } = row.policies;
    return { output: {}, changes: [change(row, { policies })] };
  },
});

export const putPermissionsBoundary = operation({
  name: "PutPermissionsBoundary",
  action: "iam:PutUserPermissionsBoundary",
  input: structure({ Principal: PrincipalType, PermissionsBoundary: DocumentType }, [
    "Principal",
    "PermissionsBoundary",
  ]),
  errors: failures,
  async decide(request, { Principal: name, PermissionsBoundary: boundary }) {
    const row = await findIdentity(request, name, "Put", "PermissionsBoundary");
    compilePolicy(boundary, "identity");
    return { output: {}, changes: [change(row, { boundary })] };
  },
});

export const deletePermissionsBoundary = operation({
  name: "DeletePermissionsBoundary",
  action: "iam:DeleteUserPermissionsBoundary",
  input: PrincipalRequest,
  errors: failures,
  async decide(request, { Principal: name }) {
    const row = await findIdentity(request, name, "Delete", "PermissionsBoundary");
    return { output: {}, changes: [change(row, { boundary: null })] };
  },
});

export const updateAssumeRolePolicy = operation({
  name: "UpdateAssumeRolePolicy",
  action: "iam:UpdateAssumeRolePolicy",
  input: structure({ Principal: PrincipalType, PolicyDocument: DocumentType }, [
    "Principal",
    "PolicyDocument",
  ]),
  errors: failures,
  async decide(request, { Principal: name, PolicyDocument: trust }) {
    const { arn, account, type } = nameOf(name);
    if (type !== "Role") throw new ValidationException(`${arn} is no role: only a role is assumed.`);
    request.authorise("iam:UpdateAssumeRolePolicy", arn, { account });
    const trustPrincipals = await checkTrust(request, trust);
    return { output: {}, changes: [change(await row(request, arn), { trust, trustPrincipals })] };
  },
});

export const tagPrincipal = operation({
  name: "TagPrincipal",
  action: "iam:TagUser",
  input: structure({ Principal: PrincipalType, Tags: TagListType }, ["Principal", "Tags"]),
  errors: failures,
  async decide(request, { Principal: name, Tags }) {
    const row = await findIdentity(request, name, "Tag");
    const tags = withTags(row.tags, checkedTags(Tags));
    checkedTags(Object.entries(tags).map(([Key, Value]) => ({ Key, Value })));
    return { output: {}, changes: [change(row, { tags })] };
  },
});

export const untagPrincipal = operation({
  name: "UntagPrincipal",
  action: "iam:UntagUser",
  input: structure({ Principal: PrincipalType, TagKeys: list(TagKeyType) }, ["Principal", "TagKeys"]),
  errors: failures,
  async decide(request, { Principal: name, TagKeys }) {
    const row = await findIdentity(request, name, "Untag");
    const gone = new Set(TagKeys.map((key) => key.toLowerCase()));
    const tags = Object.entries(row.tags).filter(([key]) => !gone.has(key.toLowerCase()));
    return { output: {}, changes: [change(row, { tags: Object.fromEntries(tags) })] };
  },
});

interface Making {
  readonly Path?: string | undefined;
  readonly AssumeRolePolicyDocument?: string;
  readonly PermissionsBoundary?: string | undefined;
  readonly Tags?: GivenTags | undefined;
}

async function create(request: Request, type: "User" | "Role", name: string, input: Making) {
  const { store, account, now } = request;
  const { Path = "/", AssumeRolePolicyDocument: trust, PermissionsBoundary: boundary, Tags = [] } = input;
  const arn = `arn:aws:iam::${account}:${type.toLowerCase()}${Path}${name}`;
  request.authorise(`iam:Create${type}`, arn);
  if (Tags.length > 0) request.authorise(`iam:Tag${type}`, arn);
  if (boundary !== undefined) request.authorise(`iam:Put${type}PermissionsBoundary`, arn);
  if (boundary !== undefined) compilePolicy(boundary, "identity");
  const trustPrincipals = trust === undefined ? null : await checkTrust(request, trust);
  // The ARNs of a role's sessions have its name without its path.
  const twins = await store.principalsNamed(account, name);
  if (twins.some((row) => row.type === type))
    throw new AlreadyExistsException(`${type} with name ${name} already exists.`);
  const made = {
    ...{ arn, account, type, policies: {}, tags: checkedTags(Tags), createdAt: now },
    principalId: newPrincipalId(type),
    boundary: boundary ?? null,
    trust: trust ?? null,
    trustPrincipals,
  };
  const changes: Change[] = [{ insert: "principal", row: made }];
  if (!(await isKept(store, account)))
    changes.unshift({ insert: "principal", row: rowOfAccount(account, now) });
  return { output: { Principal: tell(made) }, changes };
}

/** With it begins the keeping of an account's identities. */
const rowOfAccount = (account: string, createdAt: number): New<PrincipalRow> => ({
  ...{ arn: rootArn(account), principalId: account, account, type: "Account", policies: {}, tags: {} },
  createdAt,
});

/** Who is named; an account by its number too. */
function nameOf(text: string): { arn: string; account: string; type: "User" | "Role" | "Account" } {
  const { arn, account, type } = parsePrincipal(isAccount(text) ? rootArn(text) : text) ?? {};
  if (arn !== undefined && account !== undefined)
    if (type === "User" || type === "Role" || type === "Account") return { arn, account, type };
  throw new ValidationException(
    `${JSON.stringify(text)} is neither the ARN of a user or role, nor an account.`,
  );
}

async function row({ store }: Request, arn: string): Promise<PrincipalRow> {
  const found = await store.principal(arn);
  if (found === undefined) throw new NotFoundException(`${arn} does not exist.`);
  return found;
}

/** Service control policies are for the account that the deployment is of to put, whomever they govern. */
async function find(request: Request, text: string, verb: string, governing: string, noun = "") {
  const { arn, account, type } = nameOf(text);
  if (type !== "Account") {
    request.authorise(`iam:${verb}${type}${noun}`, arn, { account });
    return row(request, arn);
  }
  request.authorise(governing, arn, { account: request.governor });
  const found = await request.store.principal(arn);
  return (
    found ?? {
      boundary: null,
      trust: null,
      trustPrincipals: null,
      revision: NEW,
      ...rowOfAccount(account, request.now),
    }
  );
}

/** The revision of what is not there yet. */
const NEW = 0;

async function findIdentity(request: Request, text: string, verb: string, noun = ""): Promise<PrincipalRow> {
  const { arn, account, type } = nameOf(text);
  if (type === "Account") throw new ValidationException(`${arn} is neither a user nor a role.`);
  request.authorise(`iam:${verb}${type}${noun}`, arn, { account });
  return row(request, arn);
}

type Settings = Partial<Pick<PrincipalRow, "policies" | "boundary" | "trust" | "trustPrincipals" | "tags">>;

function change(row: PrincipalRow, set: Settings): Change {
  const { arn, revision } = row;
  if (revision === NEW) return { insert: "principal", row: { ...row, ...set } };
  return { update: "principal", arn, revision, set };
}

async function checkTrust({ store }: Request, trust: string): Promise<PrincipalRow["trustPrincipals"]> {
  const { missing, ids } = await lookUp(store, compilePolicy(trust, "trust").principals);
  if (missing === undefined) return ids;
  throw new MalformedPolicyDocumentException("Invalid principal in policy: it does not exist.");
}

function tell(row: Omit<PrincipalRow, "revision">) {
  return {
    Arn: row.arn,
    PrincipalId: row.principalId,
    Type: row.type as "User" | "Role" | "Account",
    CreateDate: new Date(row.createdAt),
    Policies: { ...row.policies },
    Tags: Object.entries(row.tags).map(([Key, Value]) => ({ Key, Value })),
    ...(row.boundary !== null && { PermissionsBoundary: row.boundary }),
    ...(row.trust !== null && { AssumeRolePolicyDocument: row.trust }),
  };
}
