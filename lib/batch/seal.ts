import { CIPHERTEXT_OVERHEAD } from "../hsm.ts";
import type { KeyMaterial } from "../keys.ts";
import { returnMemory, unclearedMemory } from "./memory.ts";
import type { Packed } from "./pack.ts";

/** Seals all packed entries with one derived key; item i of the output is `lengths[i]` + 86 bytes long. */
export async function sealPacked({ hsm, native }: KeyMaterial, packed: Packed): Promise<Uint8Array> {
  const { input, copied, lengths, contexts, contextLengths } = packed;
  const output = unclearedMemory(input.length + lengths.length * CIPHERTEXT_OVERHEAD);
  if (lengths.length === 0) return output;
  try {
    await hsm.sealBatch({
      keys: [native],
      counts: Uint32Array.of(lengths.length),
      input,
      lengths,
      contexts,
      contextLengths,
      output,
      wipeInput: copied,
    });
  } catch (error) {
    if (copied) input.fill(0);
    throw error;
  } finally {
    if (copied) returnMemory(input);
  }
  return output;
}
