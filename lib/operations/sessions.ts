import { compilePolicy, parsePrincipal } from "../access.ts";
import { AccessDeniedException, ValidationException } from "../errors.ts";
import { checkedTags, hashOfToken, newAccessKey, sessionToken } from "../identities.ts";
import { operation, within } from "../operation.ts";
import { integer, list, string, structure, timestamp } from "../shape.ts";
import { ArnType, TagKeyType, TagValueType } from "../shapes.ts";
import type { CredentialRow } from "../store.ts";

/** AWS STS's AssumeRole: what it allows for a while is what the role may, and no more than the session policy. */

const SECOND = 1000;
/** AWS's bound of a session that a session has asked for. */
const LONGEST_CHAINED = 3600;
/** How many sessions that are over are swept away with a new one. */
const SWEPT = 8;
/** A role that is not there, and one that lets nobody in, are told apart by nobody. */
const CLOSED = compilePolicy(
  '{"Statement":{"Effect":"Deny","Principal":{"AWS":"000000000000"},"Action":"sts:None"}}',
  "trust",
);

export const assumeRole = operation({
  name: "AssumeRole",
  action: "sts:AssumeRole",
  input: structure(
    {
      RoleArn: ArnType,
      RoleSessionName: string({ min: 2, max: 64, pattern: String.raw`^[\w+=,.@-]*$` }),
      DurationSeconds: integer({ min: 900, max: 43_200 }),
      Policy: string({ min: 1, max: 131_072 }),
      Tags: list(structure({ Key: TagKeyType, Value: TagValueType }, ["Key", "Value"])),
    },
    ["RoleArn", "RoleSessionName"],
  ),
  output: structure({
    Credentials: structure({
      AccessKeyId: string(),
      SecretAccessKey: string({ sensitive: true }),
      SessionToken: string({ sensitive: true }),
      Expiration: timestamp,
    }),
    AssumedRoleUser: structure({ AssumedRoleId: string(), Arn: ArnType }),
  }),
  errors: [
    "MalformedPolicyDocumentException",
    "LimitExceededException",
    "TagException",
    "KMSInternalException",
  ],
  independent: true,
  async decide(request, input) {
    const { store, now, principal } = request;
    const { RoleArn: role, RoleSessionName: name, Policy: policy, Tags = [] } = input;
    const { account, type } = parsePrincipal(role) ?? {};
    if (account === undefined || type !== "Role")
      throw new ValidationException(`${role} is invalid: give the ARN of a role.`);
    if (principal.type === "Account")
      throw new AccessDeniedException("Roles may not be assumed by root accounts.");
    const seconds = input.DurationSeconds ?? 3600;
    if (principal.type === "AssumedRole") within("durationSeconds", seconds, 900, LONGEST_CHAINED);
    const row = await store.principal(role);
    const trust =
      row?.trust == null ? CLOSED : compilePolicy(row.trust, "trust", undefined, row.trustPrincipals);
    request.authorise("sts:AssumeRole", role, { account, trust });
    if (Tags.length > 0) request.authorise("sts:TagSession", role, { account, trust });
    if (policy !== undefined) compilePolicy(policy, "identity");
    const tags = JSON.stringify(checkedTags(Tags));

    const { accessKeyId, secretAccessKey, secret } = await newAccessKey(request, "ASIA");
    const token = await sessionToken(request);
    const Arn = `arn:aws:sts::${account}:assumed-role/${role.slice(role.lastIndexOf("/") + 1)}/${name}`;
    const credential: CredentialRow = {
      accessKeyId,
      account,
      principal: Arn,
      secret,
      state: "Active",
      session: { role, tokenHash: hashOfToken(token), tags, ...(policy !== undefined && { policy }) },
      expiresAt: now + seconds * SECOND,
      createdAt: now,
    };
    const over = await store.credentialsExpired(now, SWEPT);
    return {
      output: {
        Credentials: {
          AccessKeyId: accessKeyId,
          SecretAccessKey: secretAccessKey,
          SessionToken: token,
          Expiration: new Date(now + seconds * SECOND),
        },
        AssumedRoleUser: { AssumedRoleId: `${accessKeyId}:${name}`, Arn },
      },
      changes: [
        { insert: "credential", row: credential },
        ...over.map(({ accessKeyId }) => ({ delete: "credential", accessKeyId }) as const),
      ],
    };
  },
});
