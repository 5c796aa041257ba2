import type { BatchError } from "../batch.ts";
import { KmsError } from "../errors.ts";
import type { KeyMaterial } from "../keys.ts";

/** What ciphertexts with the same head are under. */
export interface Material {
  readonly material: KeyMaterial;
  readonly keyArn: string;
  readonly materialId: string;
}

export const isError = (item: Material | BatchError): item is BatchError => "name" in item;

/** Anything but an error of the API's concerns the whole batch, and is thrown on. */
export function errorOf(error: unknown): BatchError {
  if (error instanceof KmsError) return { name: error.name, message: error.message };
  throw error;
}
