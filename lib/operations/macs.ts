import { timingSafeEqual } from "node:crypto";
import { algorithmOf, fitting, type KeySpec, type MacAlgorithm, macHash } from "../algorithms.ts";
import { KMSInvalidMacException } from "../errors.ts";
import { arnOf } from "../keys.ts";
import { operation, type Request, refuseDryRun, states } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const failures = [
  "NotFoundException",
  "DisabledException",
  "KeyUnavailableException",
  "InvalidKeyUsageException",
  "InvalidGrantTokenException",
  "KMSInternalException",
  "KMSInvalidStateException",
  "DryRunOperationException",
] as const;

const using = {
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "GENERATE_VERIFY_MAC",
} as const;

export const generateMac = operation({
  name: "GenerateMac",
  input: structure(
    {
      Message: shapes.PlaintextType,
      KeyId: shapes.KeyIdType,
      MacAlgorithm: shapes.MacAlgorithmSpec,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
    },
    ["Message", "KeyId", "MacAlgorithm"],
  ),
  output: structure({
    Mac: shapes.CiphertextType,
    MacAlgorithm: shapes.MacAlgorithmSpec,
    KeyId: shapes.KeyIdType,
  }),
  errors: failures,
  ...using,
  async run(request, input, key) {
    const Mac = await macOf(request, input, key);
    return { Mac, MacAlgorithm: input.MacAlgorithm, KeyId: arnOf(key) };
  },
});

export const verifyMac = operation({
  name: "VerifyMac",
  input: structure(
    {
      Message: shapes.PlaintextType,
      KeyId: shapes.KeyIdType,
      MacAlgorithm: shapes.MacAlgorithmSpec,
      Mac: shapes.CiphertextType,
      GrantTokens: shapes.GrantTokenList,
      DryRun: shapes.NullableBooleanType,
    },
    ["Message", "KeyId", "MacAlgorithm", "Mac"],
  ),
  output: structure({
    KeyId: shapes.KeyIdType,
    MacValid: shapes.BooleanType,
    MacAlgorithm: shapes.MacAlgorithmSpec,
  }),
  errors: [...failures, "KMSInvalidMacException"],
  ...using,
  async run(request, input, key) {
    const mac = await macOf(request, input, key);
    if (mac.length !== input.Mac.length || !timingSafeEqual(mac, input.Mac))
      throw new KMSInvalidMacException();
    return { KeyId: arnOf(key), MacValid: true, MacAlgorithm: input.MacAlgorithm };
  },
});

interface MacRequest {
  readonly Message: Uint8Array;
  readonly MacAlgorithm: MacAlgorithm;
  readonly DryRun?: boolean | undefined;
}

async function macOf({ keys }: Request, input: MacRequest, key: KeyRow): Promise<Uint8Array> {
  const algorithm = algorithmOf(key.keySpec as KeySpec);
  const hash = macHash[fitting(algorithm.macAlgorithms, input.MacAlgorithm, algorithm)];
  refuseDryRun(input);
  return (await keys.current(key)).mac(hash, input.Message);
}
