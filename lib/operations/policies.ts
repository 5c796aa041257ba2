import { NotFoundException } from "../errors.ts";
import { operation, states, updateKey } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

/** A key has one policy, and this is its name. */
const NAME = "default";

const keyId = { member: "KeyId", aliases: false } as const;

function checkName(name: string | undefined): void {
  if (name !== undefined && name !== NAME) throw new NotFoundException("No such policy exists");
}

export const getKeyPolicy = operation({
  name: "GetKeyPolicy",
  input: structure({ KeyId: shapes.KeyIdType, PolicyName: shapes.PolicyNameType }, ["KeyId"]),
  output: structure({ Policy: shapes.PolicyType, PolicyName: shapes.PolicyNameType }),
  errors: [
    "NotFoundException",
    "InvalidArnException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "KMSInvalidStateException",
  ],
  key: keyId,
  states: states.reading,
  run(_request, input, key) {
    checkName(input.PolicyName);
    return { Policy: key.policy, PolicyName: NAME };
  },
});

export const putKeyPolicy = operation({
  name: "PutKeyPolicy",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      PolicyName: shapes.PolicyNameType,
      Policy: shapes.PolicyType,
      BypassPolicyLockoutSafetyCheck: shapes.BooleanType,
    },
    ["KeyId", "Policy"],
  ),
  errors: [
    "NotFoundException",
    "InvalidArnException",
    "MalformedPolicyDocumentException",
    "DependencyTimeoutException",
    "UnsupportedOperationException",
    "KMSInternalException",
    "LimitExceededException",
    "KMSInvalidStateException",
  ],
  key: keyId,
  states: states.reading,
  async decide(request, input, key) {
    checkName(input.PolicyName);
    const { Policy: policy, BypassPolicyLockoutSafetyCheck: bypass = false } = input;
    const policyPrincipals = await request.checkPolicy(key, policy, bypass);
    return { output: {}, changes: [updateKey(key, { policy, policyPrincipals })] };
  },
});

export const listKeyPolicies = operation({
  name: "ListKeyPolicies",
  input: structure({ KeyId: shapes.KeyIdType, Limit: shapes.LimitType, Marker: shapes.MarkerType }, [
    "KeyId",
  ]),
  output: structure({
    PolicyNames: shapes.PolicyNameList,
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: [
    "NotFoundException",
    "InvalidArnException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "KMSInvalidStateException",
  ],
  key: keyId,
  states: states.reading,
  run({ markers }, input, key) {
    // One name is never truncated, so that no marker was ever given for this list.
    markers.read(`ListKeyPolicies ${key.region} ${key.keyId}`, input.Marker);
    return { PolicyNames: [NAME], Truncated: false };
  },
});
