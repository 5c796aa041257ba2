import type { BatchError } from "../batch.ts";
import { failureOf } from "../failure.ts";
import type { KeyMaterial } from "../keys.ts";
import { errorOf, isError, type Material } from "./material.ts";
import { type Packed, plaintextLength } from "./pack.ts";

interface Item {
  readonly index: number;
  readonly ciphertext: Uint8Array;
  readonly context: Uint8Array;
  /** Where its plaintext goes. */
  readonly to: number;
}

/**
 * Opens the items of each head in a crossing of their own, so that material which cannot be used, which becomes
 * the error of its head, leaves the others alone. Returns one byte an item, as the engine does.
 */
export async function openApart(
  packed: Packed,
  heads: Uint32Array,
  materials: (Material | BatchError)[],
  output: Uint8Array,
): Promise<Uint8Array> {
  const authentic = new Uint8Array(heads.length);
  const apart = byHead(packed, heads, materials.length);
  for (const [head, material] of materials.entries()) {
    if (isError(material)) continue;
    const items = apart[head] as Item[];
    try {
      await openItems(material.material, items, output, authentic);
    } catch (error) {
      materials[head] = errorOf(failureOf(error, [material.keyArn]));
    }
  }
  return authentic;
}

async function openItems(
  { hsm, native }: KeyMaterial,
  items: Item[],
  output: Uint8Array,
  authentic: Uint8Array,
): Promise<void> {
  const lengths = Uint32Array.from(items, ({ ciphertext }) => ciphertext.length);
  const plaintexts = new Uint8Array(lengths.reduce((sum, length) => sum + plaintextLength(length), 0));
  const opened = await hsm.openBatch({
    keys: [native],
    groups: new Uint32Array(items.length),
    input: Buffer.concat(items.map(({ ciphertext }) => ciphertext)),
    lengths,
    contexts: Buffer.concat(items.map(({ context }) => context)),
    contextLengths: Uint32Array.from(items, ({ context }) => context.length),
    output: plaintexts,
  });
  let at = 0;
  for (const [i, { index, to }] of items.entries()) {
    const end = at + plaintextLength(lengths[i] as number);
    authentic[index] = opened[i] as number;
    output.set(plaintexts.subarray(at, end), to);
    at = end;
  }
  plaintexts.fill(0);
}

function byHead({ input, lengths, contexts, contextLengths }: Packed, heads: Uint32Array, count: number) {
  const apart: Item[][] = Array.from({ length: count }, () => []);
  const shared = contextLengths.length === 1;
  let at = 0;
  let contextAt = 0;
  let to = 0;
  for (const [index, head] of heads.entries()) {
    const end = at + (lengths[index] as number);
    const contextEnd = contextAt + (contextLengths[shared ? 0 : index] as number);
    const ciphertext = input.subarray(at, end);
    apart[head]?.push({ index, ciphertext, context: contexts.subarray(contextAt, contextEnd), to });
    to += plaintextLength(end - at);
    at = end;
    if (!shared) contextAt = contextEnd;
  }
  return apart;
}
