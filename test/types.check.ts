import type * as sdk from "@aws-sdk/client-kms";
import type { Kms } from "../lib/kms.ts";
import type { operations } from "../lib/operations.ts";

/**
 * Checked by `tsc -p test` and never run: code written for `@aws-sdk/client-kms` keeps its types. What its commands
 * take our methods take, and what our methods answer its commands answer.
 */
type Name = keyof typeof operations;
type Method<N extends Name> = Kms[Uncapitalize<N>];
type Command<N extends Name> = InstanceType<(typeof sdk)[`${N}Command`]>;
type SdkOutput<N extends Name> = Awaited<ReturnType<ReturnType<Command<N>["resolveMiddleware"]>>>["output"];

/** Values that this version of the SDK knows and the model that we follow does not. */
type Newer =
  | ("ML_KEM_512" | "ML_KEM_768" | "ML_KEM_1024" | "ENCAPSULATE_DECAPSULATE")
  | ("Encapsulate" | "Decapsulate");
type Known<T> = { [K in keyof T as Exclude<K, Replaced>]: Elements<Exclude<T[K], Newer>> } & {
  [K in keyof T as Extract<K, Replaced>]-?: T[K];
};
/** A member that need not be given there any more, since there are new ones in its place. */
type Replaced = "GranteePrincipal" | "RetiringPrincipal";
type Elements<T> = T extends (infer E)[] ? ([E] extends [string] ? Exclude<E, Newer>[] : T) : T;

/** The operations whose types do not fit: there must be none. */
type RefusedInputs = {
  [N in Name]: Known<Command<N>["input"]> extends Parameters<Method<N>>[0] ? never : N;
}[Name];
type ForeignOutputs = {
  [N in Name]: Awaited<ReturnType<Method<N>>> extends SdkOutput<N> ? never : N;
}[Name];
type None<T extends never> = T;
export type Checks = [None<RefusedInputs>, None<ForeignOutputs>];

/** That the checks see a difference, and that types refuse what is wrong. */
export async function wrong(kms: Kms, plaintext: Uint8Array): Promise<void> {
  // @ts-expect-error an operation that does not fit is not none
  type _Fails = None<"Encrypt">;
  // @ts-expect-error the SDK's types are seen, and have no such member
  type _Input = Command<"Encrypt">["input"]["Context"];
  // @ts-expect-error nor has its output
  type _Output = SdkOutput<"Encrypt">["Plaintext"];
  // @ts-expect-error a required member is missing
  await kms.encrypt({ KeyId: "alias/orders" });
  // @ts-expect-error a text is no plaintext
  await kms.encrypt({ KeyId: "alias/orders", Plaintext: "x" });
  // @ts-expect-error no such algorithm
  await kms.encrypt({ KeyId: "alias/orders", Plaintext: plaintext, EncryptionAlgorithm: "ROT13" });
  // @ts-expect-error no such member
  await kms.encrypt({ KeyId: "alias/orders", Plaintext: plaintext, Context: {} });
  // @ts-expect-error a context holds texts
  await kms.encrypt({ KeyId: "alias/orders", Plaintext: plaintext, EncryptionContext: { tenant: 7 } });
  // @ts-expect-error Encrypt does not answer with a plaintext
  (await kms.encrypt({ KeyId: "alias/orders", Plaintext: plaintext })).Plaintext;
}

/** What the SDK's types refuse without need: contexts and tokens that are read-only. */
export const right = (kms: Kms) =>
  kms.encrypt({
    KeyId: "alias/orders",
    Plaintext: Buffer.from("x"),
    EncryptionContext: { tenant: "7" } as const,
    GrantTokens: ["token"] as const,
  });

/** A client of the SDK takes the handler that answers in process. */
export const inProcess = (kms: Kms, Client: typeof sdk.KMSClient) =>
  new Client({ region: kms.region, requestHandler: kms.requestHandler() });
