import type { BatchError } from "../batch.ts";
import { InvalidCiphertextException } from "../errors.ts";
import { groupByHead, type Hsm, type NativeKey } from "../hsm.ts";
import { openApart } from "./apart.ts";
import { errorOf, isError, type Material } from "./material.ts";
import { returnMemory, unclearedMemory } from "./memory.ts";
import { type Packed, plaintextLength } from "./pack.ts";

export interface Opened {
  /** The plaintexts, packed: item i has max(0, `lengths[i]` - 86) bytes, also when it failed. */
  readonly output: Uint8Array;
  /** What a packed item was under, or why it did not open. */
  readonly outcome: (item: number) => Material | BatchError;
}

/** What the engine says of one key's material, which is no fault of the others. */
const ofOneKey = new Set<unknown>(["BINDING_MISMATCH", "KEY_NOT_FOUND"]);
const SKIPPED = 0xffffffff;
const forged = errorOf(new InvalidCiphertextException());

/**
 * Opens all packed entries. `admit` decides once for each head, given the first ciphertext that has it; a
 * `KmsError` of its is the error of all of them, and anything else ends the batch.
 */
export async function openPacked(
  packed: Packed,
  admit: (ciphertext: Uint8Array) => Promise<Material>,
): Promise<Opened> {
  const { input, lengths, copied } = packed;
  try {
    const { heads, firsts } = groupByHead(input, lengths);
    const materials: (Material | BatchError)[] = [];
    for (let i = 0; i < firsts.length; i += 2) {
      const at = firsts[i] as number;
      const first = input.subarray(at, at + (firsts[i + 1] as number));
      materials.push(await admit(first).catch(errorOf));
    }
    let size = 0;
    for (let i = 0; i < lengths.length; i++) size += plaintextLength(lengths[i] as number);
    const output = unclearedMemory(size);
    const authentic = await openHeads(packed, heads, materials, output);
    const outcome = (item: number) => {
      const material = materials[heads[item] as number] as Material | BatchError;
      return authentic[item] === 1 || isError(material) ? material : forged;
    };
    return { output, outcome };
  } finally {
    if (copied) returnMemory(input);
  }
}

/**
 * One crossing for all; one for each head where they are on several tokens, and when some key's material is
 * damaged or gone, so that the others open.
 */
async function openHeads(
  packed: Packed,
  heads: Uint32Array,
  materials: (Material | BatchError)[],
  output: Uint8Array,
): Promise<Uint8Array> {
  const { input, lengths, contexts, contextLengths } = packed;
  const keys: NativeKey[] = [];
  const hsms = new Set<Hsm>();
  const places = materials.map((material) => {
    if (isError(material)) return SKIPPED;
    hsms.add(material.material.hsm);
    return keys.push(material.material.native) - 1;
  });
  const [hsm] = hsms;
  if (hsm === undefined) {
    output.fill(0);
    return new Uint8Array(lengths.length);
  }
  const groups = new Uint32Array(heads.length);
  for (let i = 0; i < heads.length; i++) groups[i] = places[heads[i] as number] as number;
  try {
    if (hsms.size === 1)
      return await hsm.openBatch({ keys, groups, input, lengths, contexts, contextLengths, output });
  } catch (error) {
    if (keys.length === 1 || !ofOneKey.has((error as { code?: unknown }).code)) throw error;
  }
  output.fill(0);
  return openApart(packed, heads, materials, output);
}
