import { operation } from "../operation.ts";
import { map, string, structure } from "../shape.ts";
import { TagKeyType, TagValueType } from "../shapes.ts";

/**
 * Ours alone: what would be decided of a request, and why. It tells of the policies of all, so that it is for
 * administrators of the account that the deployment is of; the action is IAM's for the like.
 */
export const explain = operation({
  name: "Explain",
  action: "iam:SimulatePrincipalPolicy",
  input: structure(
    {
      Principal: string({ min: 1, max: 2048 }),
      Operation: string({ min: 1, max: 128 }),
      Tags: map(TagKeyType, TagValueType),
      Via: string({ min: 1, max: 256, pattern: String.raw`^[a-z0-9-]+\.[a-z0-9-]+\.amazonaws\.com$` }),
      SourceIp: string({ min: 1, max: 64 }),
    },
    ["Principal", "Operation"],
  ),
  unchecked: ["Input"],
  errors: ["UnknownOperationException", "KMSInternalException"],
  async run(request, input) {
    request.authorise("iam:SimulatePrincipalPolicy", input.Principal, { account: request.governor });
    const { Input } = input as { Input?: object };
    return request.rehearse({ ...input, Input, Region: request.region });
  },
});
