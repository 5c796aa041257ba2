import { hash } from "node:crypto";
import {
  algorithmOf,
  type EncryptionAlgorithm,
  encryptionAlgorithmOf,
  isSymmetric,
  type KeySpec,
} from "../algorithms.ts";
import {
  type BatchError,
  ciphertexts,
  type DecryptedEntry,
  type EncryptedEntry,
  isError,
  type Material,
  type Opened,
  openPacked,
  type Packed,
  packEntries,
  plaintextLength,
  plaintexts,
  sealPacked,
  takePacked,
} from "../batch.ts";
import type { EncryptionContext } from "../ciphertext.ts";
import { InvalidCiphertextException, UnsupportedOperationException, ValidationException } from "../errors.ts";
import { CIPHERTEXT_OVERHEAD } from "../hsm.ts";
import { arnOf } from "../keys.ts";
import { operation, type Request, states, usingFailures } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { KeyRow } from "../store.ts";

const members = {
  KeyId: shapes.KeyIdType,
  EncryptionContext: shapes.EncryptionContextType,
  EncryptionAlgorithm: shapes.EncryptionAlgorithmSpec,
  GrantTokens: shapes.GrantTokenList,
};
/** What the shapes do not describe: entry by entry it would cost more than the sealing. */
const unchecked = ["Entries", "Plaintexts", "CiphertextBlobs", "Lengths", "EncryptionContexts"];

export const encryptBatch = operation({
  name: "EncryptBatch",
  action: "kms:Encrypt",
  input: structure(members, ["KeyId"]),
  unchecked,
  errors: usingFailures,
  key: { member: "KeyId", aliases: true },
  states: states.using,
  usage: "ENCRYPT_DECRYPT",
  contexts: contextsOf,
  async run(request, input, key) {
    const EncryptionAlgorithm = algorithmFor(key, input.EncryptionAlgorithm);
    refuseOthers(key);
    const packed = pack(input, plaintexts);
    note(request, packed, packed.errors?.size ?? 0);
    const material = request.keys.current(key);
    const sealing = sealPacked(material instanceof Promise ? await material : material, packed);
    request.foreseen = true;
    const output = await sealing;
    const answer = { KeyId: arnOf(key), EncryptionAlgorithm };
    if (packed.copied) return { ...answer, Entries: sealedEntries(packed, output) };
    return { ...answer, CiphertextBlobs: output, Lengths: ciphertextLengths(packed) };
  },
});

export const decryptBatch = operation({
  name: "DecryptBatch",
  input: structure(members),
  unchecked,
  errors: [...usingFailures, "InvalidCiphertextException", "IncorrectKeyException"],
  async run(request, input) {
    const packed = pack(input, ciphertexts);
    const contexts = () => contextsOf(input);
    const terms = { action: "kms:Decrypt", aliases: true, states: states.using, usage, contexts } as const;
    const admit = async (ciphertext: Uint8Array): Promise<Material> => {
      const { key, materialId } = await request.admitCiphertext(ciphertext, input.KeyId, terms);
      algorithmFor(key, input.EncryptionAlgorithm);
      refuseOthers(key);
      const material = await request.keys.find(key, materialId);
      if (material === undefined) throw new InvalidCiphertextException();
      return { material, keyArn: arnOf(key), materialId };
    };
    const opened = await openPacked(packed, admit);
    const answer = packed.copied ? openedEntries(packed, opened) : openedPacked(packed, opened);
    note(request, packed, answer.failed);
    return answer.output;
  },
});

const usage = "ENCRYPT_DECRYPT";

/** What is sealed otherwise than the engine seals batches: of an external key, each entry would be a request. */
function refuseOthers({ keySpec, xksKeyId }: KeyRow): void {
  const which = isSymmetric(keySpec as KeySpec)
    ? xksKeyId && "in external key stores"
    : `of key spec ${keySpec}`;
  if (which)
    throw new UnsupportedOperationException(
      `Keys ${which} take no batches: give each entry to Encrypt or Decrypt.`,
    );
}

function algorithmFor(key: KeyRow, name: EncryptionAlgorithm | undefined): EncryptionAlgorithm {
  return encryptionAlgorithmOf(algorithmOf(key.keySpec as KeySpec), name);
}

type BatchInput = {
  readonly EncryptionContext?: EncryptionContext | undefined;
  readonly [member: string]: unknown;
};

/**
 * The encryption contexts that a batch is decided on by, where a policy or grant looks at them: all that its entries
 * have, so that a batch is allowed only where each of them alone would be. Most policies look at none: only the first is
 * asked for then.
 */
function* contextsOf(input: BatchInput): Iterable<EncryptionContext | undefined> {
  const { Entries, EncryptionContexts, EncryptionContext: forAll } = input;
  const own: unknown = EncryptionContexts ?? Entries;
  const seen = new Set<EncryptionContext | undefined>();
  for (const entry of Array.isArray(own) ? own : []) {
    const given = EncryptionContexts === undefined ? entry?.EncryptionContext : entry;
    const context = given !== null && typeof given === "object" ? given : forAll;
    if (seen.has(context)) continue;
    seen.add(context);
    yield context;
  }
  if (seen.size === 0) yield forAll;
}

/** Either the one form or the other. */
function pack(input: BatchInput, kind: typeof plaintexts): Packed {
  const { Entries, EncryptionContext } = input;
  if ((Entries === undefined) === (input[kind.packed] === undefined))
    throw new ValidationException(`Give either Entries, or ${kind.packed} with Lengths.`);
  return Entries === undefined
    ? takePacked(input, kind, EncryptionContext)
    : packEntries(Entries, kind, EncryptionContext);
}

/**
 * What a batch's event says in place of its entries: how many, how many failed, and the SHA-256 of the canonical
 * contexts (docs/ciphertext.md) of those that were well-formed, one behind the other; of the one for all, where no
 * entry has its own.
 */
function note(request: Request, packed: Packed, failed: number): void {
  request.note("entries", packed.count);
  request.note("failed", failed);
  request.note("contextsSha256", hash("sha256", packed.contexts));
}

function ciphertextLengths({ lengths }: Packed): Uint32Array {
  const longer = new Uint32Array(lengths.length);
  for (let i = 0; i < lengths.length; i++) longer[i] = (lengths[i] as number) + CIPHERTEXT_OVERHEAD;
  return longer;
}

function sealedEntries({ count, lengths, errors }: Packed, output: Uint8Array): EncryptedEntry[] {
  const { buffer } = output;
  const entries = new Array<EncryptedEntry>(count);
  let item = 0;
  let at = 0;
  for (let i = 0; i < count; i++) {
    const error = errors?.get(i);
    if (error !== undefined) {
      entries[i] = { Error: error };
      continue;
    }
    const length = (lengths[item++] as number) + CIPHERTEXT_OVERHEAD;
    entries[i] = { CiphertextBlob: new Uint8Array(buffer, at, length) };
    at += length;
  }
  return entries;
}

function openedEntries({ count, lengths, errors }: Packed, { output, outcome }: Opened) {
  const { buffer } = output;
  const Entries = new Array<DecryptedEntry>(count);
  let item = 0;
  let at = 0;
  let failed = 0;
  for (let i = 0; i < count; i++) {
    let found = errors?.get(i) as Material | BatchError | undefined;
    if (found === undefined) {
      const length = plaintextLength(lengths[item] as number);
      found = outcome(item++);
      if (!isError(found)) {
        const { keyArn: KeyId, materialId: KeyMaterialId } = found;
        Entries[i] = { Plaintext: new Uint8Array(buffer, at, length), KeyId, KeyMaterialId };
        at += length;
        continue;
      }
      at += length;
    }
    failed++;
    Entries[i] = { Error: found as BatchError };
  }
  return { output: { Entries }, failed };
}

/** Moves the plaintexts together over those that failed. */
function openedPacked({ lengths }: Packed, { output, outcome }: Opened) {
  const Lengths = new Uint32Array(lengths.length);
  const Errors: { Index: number; Error: BatchError }[] = [];
  let from = 0;
  let to = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = plaintextLength(lengths[i] as number);
    const found = outcome(i);
    if (isError(found)) Errors.push({ Index: i, Error: found });
    else {
      if (from !== to) output.copyWithin(to, from, from + length);
      Lengths[i] = length;
      to += length;
    }
    from += length;
  }
  output.fill(0, to);
  return { output: { Plaintexts: output.subarray(0, to), Lengths, Errors }, failed: Errors.length };
}
