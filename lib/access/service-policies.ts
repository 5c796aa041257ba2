/** The policies of the keys that services make: nobody edits them. */

const JSON_OF = (Id: string, Statement: readonly object[]) =>
  JSON.stringify({ Version: "2012-10-17", Id, Statement }, null, 2);

/**
 * Of a key that a service made for an account, as AWS's managed keys have it: it is used through the service only, by
 * callers of the account, who may look at it; nothing lets anyone change, disable or delete it.
 */
export function managedKeyPolicy(name: string, region: string, account: string): string {
  return JSON_OF(`auto-${name}-1`, [
    {
      Sid: `Allow access through ${name} for all principals in the account that are authorized to use ${name}`,
      Effect: "Allow",
      Principal: { AWS: "*" },
      Action: [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:CreateGrant",
        "kms:DescribeKey",
      ],
      Resource: "*",
      Condition: {
        StringEquals: {
          "kms:CallerAccount": account,
          "kms:ViaService": `${name}.${region}.amazonaws.com`,
        },
      },
    },
    {
      Sid: "Allow direct access to key metadata to the account",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
      Resource: "*",
    },
  ]);
}

/** Of a key that a service owns: it is the service's alone. `service` is its principal. */
export function ownedKeyPolicy(service: string): string {
  return JSON_OF("service-owned-1", [
    { Effect: "Allow", Principal: { Service: service }, Action: "kms:*", Resource: "*" },
  ]);
}
