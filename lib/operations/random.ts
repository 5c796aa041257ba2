import { UnsupportedOperationException, ValidationException } from "../errors.ts";
import { checkConnected, findStore } from "../key-stores.ts";
import { operation, type Request, refuseRecipient } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

export const generateRandom = operation({
  name: "GenerateRandom",
  input: structure({
    NumberOfBytes: shapes.NumberOfBytesType,
    CustomKeyStoreId: shapes.CustomKeyStoreIdType,
    Recipient: shapes.RecipientInfo,
  }),
  output: structure({ Plaintext: shapes.PlaintextType, CiphertextForRecipient: shapes.CiphertextType }),
  errors: [
    "DependencyTimeoutException",
    "KMSInternalException",
    "UnsupportedOperationException",
    "CustomKeyStoreNotFoundException",
    "CustomKeyStoreInvalidStateException",
  ],
  resource: "*",
  async run(request, input) {
    refuseRecipient(input);
    if (input.NumberOfBytes === undefined) throw new ValidationException("NumberOfBytes is required.");
    const { CustomKeyStoreId: id } = input;
    const hsm = id === undefined ? request.hsm : await hsmOf(request, id);
    return { Plaintext: await hsm.random(input.NumberOfBytes) };
  },
});

/** The token of a custom key store, where it has one that is ours to ask. */
async function hsmOf(request: Request, customKeyStoreId: string) {
  const row = await findStore(request, customKeyStoreId);
  if (row.type !== "AWS_CLOUDHSM")
    throw new UnsupportedOperationException("External key stores generate no random bytes.");
  checkConnected(row);
  return request.keyStores.clusters.hsm(row);
}
